"""A bench on which large refunds wait for a workflow, people beside it, and processes that a test makes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.core.canonical import parse
from answerable.core.identity.names.principal import workflow_id
from answerable.core.identity.proof.channel import Channel, PeerCredentials
from answerable.core.registry.parsing.active import snapshot_of
from answerable.flows.approval.answer_as_workflow import answer_as_workflow
from answerable.flows.state.walk_limits import WalkLimits
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import Bench, bench_documents, nonce_for
from answerable.testing.recording_upstream import sample_tools
from answerable.testing.samples import AUDIENCE, OWNERSHIP, document, signing_key
from tests.worlds.enrolment import InventedProcesses, workloads_over
from tests.worlds.mandate import changed

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.flows.trust_domain.workloads import Workloads

CHECK = "refund-check"
PATH = "unix:path:/opt/check"
UID = "unix:uid:3000"
POLICIES = """
@id("read") permit (principal, action == Action::"crm.read", resource);
@id("refund") permit (principal, action == Action::"crm.refund", resource);
@id("large") @reason("refunds above 5000 are checked") @approve("checks:1")
forbid (principal, action == Action::"crm.refund", resource) when { context.arguments.amount > 5000 };
@id("huge") @reason("refunds above 50000 are checked twice") @approve("checks|approvers:2")
forbid (principal, action == Action::"crm.refund", resource) when { context.arguments.amount > 50000 };
@id("both") @reason("refunds above 500000 are checked and approved") @approve("approvers:1")
forbid (principal, action == Action::"crm.refund", resource) when { context.arguments.amount > 500000 };
"""
LIMITS = WalkLimits(workflows=("allowed", "allowed", "allowed", "refused"))


def workflow(name: str = CHECK, *, owner: str = "erin", uid: int = 3000, **spec: Any) -> dict[str, Any]:
    """A workflow of somebody who has no other part in anything, unless said otherwise."""
    return document(
        "Workflow",
        name,
        {
            "purpose": "Look the refund up in the books",
            "ai": False,
            "groups": ["checks"],
            "capabilities": ["crm.refund"],
            "tierMax": 2,
            "keys": [parse(signing_key(name).public.jwk.encode())],
            "attestation": [[f"unix:uid:{uid}", PATH]],
            "ownership": {**OWNERSHIP, "owner": owner, "backupOwner": "frank"},
            **spec,
        },
    )


def documents(*workflows: dict[str, Any], tier: int = 2, policies: str = POLICIES) -> list[Any]:
    """The bench's documents with people who own workflows, and these workflows, or the one."""
    people = [document("Principal", name, {"keys": [_jwk(name)]}) for name in ("erin", "frank")]
    found: list[Any] = [*bench_documents(policies), *people, *(workflows or (workflow(),))]
    return changed(found, "Capability", "crm.refund", tier=tier)


async def waiting(
    amount: int = 6000, *, given: list[Any] | None = None, limits: WalkLimits = LIMITS
) -> tuple[Bench, Approval]:
    """A bench on which a refund waits."""
    bench = Bench(limits=limits)
    # What the server says of the tool must not raise its tier here.
    bench.upstream.hints["refund"] = {"destructiveHint": False, "openWorldHint": False, "readOnlyHint": False}
    bench.upstream.listed = {"crm": sample_tools(bench.upstream.hints)}
    await bench.registered(given or documents())
    await bench.issue()
    approval = (await bench.refund(amount)).approval
    assert approval is not None
    return bench, approval


def token_of(
    bench: Bench,
    approval: Approval,
    name: str = CHECK,
    *,
    key: str = "",
    verdict: Verdict = "approve",
    **more: Any,
) -> str:
    """What a workflow signs. key: whose it signs with, its own unless said otherwise."""
    return signed_answer(
        approval,
        nonce=more.get("nonce")
        or nonce_for(bench.asking.openings, bench.clock, bench.walk.entropy, approval),
        by=more.get("by") or workflow_id(name),
        verdict=verdict,
        audience=more.get("audience", AUDIENCE),
        at=bench.clock.now(),
        key=signing_key(key or name),
    )


async def answered(
    bench: Bench, approval: Approval, name: str = CHECK, *, verdict: Verdict = "approve", **more: Any
) -> Approval:
    """A workflow answers, by a token signed now."""
    token = token_of(bench, approval, name, verdict=verdict, **more)
    return await answer_as_workflow(
        bench.recorder, bench.authority, bench.asking, bench.counters, name, approval.id, token
    )


def now(bench: Bench, approval: Approval) -> Approval:
    """How it stands."""
    found = bench.authority.approvals.find(approval.id)
    assert found is not None
    return found


def measured(bench: Bench) -> tuple[Workloads, InventedProcesses]:
    """Workloads over the bench's walk, and the processes of its machine."""
    processes = InventedProcesses()
    return workloads_over(bench.walk, observer=processes), processes


def over_socket(pid: int, *, uid: int = 3000) -> Channel:
    """A connection that this process made."""
    return Channel(connection=1, sequence=1, peer=PeerCredentials(pid=pid, uid=uid, gid=uid, started=1))


def faults(given: list[Any]) -> list[tuple[str, str]]:
    """Path and code of each fault of documents."""
    from answerable.core.registry.parsing.active import faults_of

    return [(one.path, one.code) for one in faults_of(given)]


def in_force(given: list[Any]) -> set[str]:
    """Names of the workflows that are active."""
    return set(snapshot_of(given).workflows)


def _jwk(name: str) -> Any:
    return parse(signing_key(name).public.jwk.encode())
