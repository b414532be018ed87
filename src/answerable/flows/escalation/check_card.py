"""Check that an action about to run is the one that was approved, and void approvals that no longer match.

Arguments are matched by their digest beforehand. This module compares the rest: the delegation chain, the tool, the
agent's manifest, the amounts, and the rules that an approval would lift.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from anyio import Event

from answerable.core.approval.action_object import changed_since
from answerable.core.approval.approval import NOTHING_SHOWN, ApprovalId
from answerable.core.decision.asked import read_question
from answerable.core.ledger.records_approvals import approval_void
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate.spend import money_moved
from answerable.flows.recording.record_entry import key_of

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.approval import Approval
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.facts import Facts
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.runs import Run
    from answerable.flows.state.parts import InProgress, Recorder
    from answerable.ports.approval_register import ApprovalRegister


POLICY: Final = "what policy says"
"""The reason of a void question, in the words of entries and cards."""


def card_mismatch(approval: Approval, verified: VerifiedRequest, decision: Decision) -> tuple[str, ...]:
    """Return what of the action differs from what this approval displayed, in words; empty where nothing does. Raises
    Refused."""
    if approval.shown == NOTHING_SHOWN:
        return ("how people are asked",)
    amounts = money_moved(verified.resolved.capability, verified.arguments)
    other = changed_since(approval.shown, verified, decision, amounts)
    if decision.effect == "defer" and set(approval.requirements) != set(decision.requirements):
        other = (*other, "who is asked")
    return other


def stale_approval(
    approvals: ApprovalRegister, facts: Facts, verified: VerifiedRequest, decision: Decision
) -> tuple[Approval, tuple[str, ...]] | None:
    """Return the approval that would allow this action, and the differences, if the action is not the one it displayed.
    The action is then decided again without that approval. Raises Refused."""
    if facts.approval is None or decision.effect != "allow":
        return None
    approval = approvals.find(ApprovalId(facts.approval.id))
    if approval is None:
        return None
    other = card_mismatch(approval, verified, decision)
    return (approval, other) if other else None


async def void_denied(
    recorder: Recorder,
    approvals: ApprovalRegister,
    under_way: InProgress,
    verified: VerifiedRequest,
    decision: Decision,
    at: UnixMillis,
) -> None:
    """Void a pending question about an action that policy now denies. An approval that people have given stays, because
    the policy result may depend on the hour. Holds, mandates and hops end the approvals that they deny themselves.
    Raises Unavailable."""
    request = verified.request
    waiting = approvals.matching(verified.caller.agent, verified.mandate.id, request.action.digest, at)
    if waiting is None or waiting.state_at(at) != "pending" or not decision.question:
        return
    asked = read_question(decision.question)
    if asked.hold is None and not asked.rule:
        await void(recorder, approvals, under_way, waiting, (POLICY,))


async def void(
    recorder: Recorder,
    approvals: ApprovalRegister,
    under_way: InProgress,
    approval: Approval,
    because: tuple[str, ...],
) -> None:
    """Void an approval, on record. A concurrent change of the approval takes precedence; the caller reads it again in
    any case. Raises Unavailable, and then the approval is unchanged."""
    voiding = under_way.voiding
    if (first := voiding.get(approval.id)) is not None:
        # Of several concurrent callers one records it.
        await first.wait()
        return
    key = key_of(recorder, approval.subject or principal_subject(approval.principal))
    digest = key.pseudonym(b"action", approval.action.digest)
    now = recorder.clock.now()
    voiding[approval.id] = done = Event()

    def entry(run: Run) -> Entry:
        return approval_void(approval, because, at=now, run=run, digest=digest)

    try:
        # 1. The ledger says so. After a crash here, the next request voids it again.
        _, left = await recorder.intents.record(approval.mandate, entry)
        # 2. The register says so.
        approvals.replace(replace(approval, state="void", void_because=because), was=approval)
        if left is not None:
            raise left
    finally:
        del voiding[approval.id]
        done.set()
