"""Workflows answer for their owners: what they may say yes to, and every way in which somebody passes for one."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from answerable.core.identity.spiffe_id import trust_domain
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import Revocable
from answerable.errors import Refused, Unverified
from answerable.flows.answer_approval import answer_approval
from answerable.flows.answer_as_workflow import (
    answer_as_workflow,
    open_to_workflow,
    waiting_for_workflow,
)
from answerable.flows.apply_registry import apply_registry
from answerable.flows.attest_workflow import attested_workflow
from answerable.flows.enrol_workload import enrol
from answerable.flows.reconstruct_timeline import reconstruct_timeline
from answerable.testing.samples import signing_key
from tests.enrolment_world import evidence_of
from tests.hold_world import stop
from tests.instance_world import Authority, FixedTrust, shown
from tests.mandate_world import changed
from tests.revocation_world import revoke_now
from tests.workflow_world import (
    CHECK,
    LIMITS,
    PATH,
    UID,
    answered,
    documents,
    faults,
    in_force,
    measured,
    now,
    over_socket,
    token_of,
    waiting,
    workflow,
)

pytestmark = pytest.mark.anyio
ENDS = ("disabled", "review overdue", "owner revoked", "key revoked", "key held", "owner disabled")


@pytest.mark.requirement("WORKFLOW-01")
async def test_a_workflow_that_policy_asks_says_yes_by_its_own_signature():
    bench, approval = await waiting()
    after = await answered(bench, approval)
    assert after.state == "approved"
    (answer,) = after.answers
    assert (answer.by, answer.workflow, answer.groups) == ("erin", CHECK, ("checks",))
    assert (await bench.refund(6000)).outcome is not None
    (leaf,) = bench.entries(Tag.APPROVAL_ANSWER)
    assert leaf["workflow"] == CHECK


@pytest.mark.requirement("WORKFLOW-01")
async def test_a_no_of_a_workflow_ends_it():
    bench, approval = await waiting()
    assert (await answered(bench, approval, verdict="deny")).state == "denied"
    with pytest.raises(Refused) as told:
        await bench.refund(6000)
    assert told.value.code == "approval.denied"


@pytest.mark.requirement("WORKFLOW-01")
async def test_a_workflow_sees_only_what_it_could_say_yes_to():
    bench, approval = await waiting()
    current = bench.walk.registry.current.workflows[CHECK]
    assert [one.id for one in waiting_for_workflow(bench.walk, current)] == [approval.id]
    for other in (
        replace(current, groups=("audits",)),
        replace(current, capabilities=("crm.read",)),
        replace(current, tier_max=1),
    ):
        assert waiting_for_workflow(bench.walk, other) == []
        with pytest.raises(Refused) as told:
            open_to_workflow(bench.walk, other, approval.id)
        assert told.value.code == "approval.unknown"


@pytest.mark.requirement("WORKFLOW-02")
async def test_a_rule_that_asks_people_is_never_met_by_a_workflow():
    """People and workflows are in no group together; so whoever writes a rule says which of them it asks."""
    assert ("/spec/groups/0", "workflow.mixed_group") in faults(documents(workflow(groups=["approvers"])))
    bench, approval = await waiting(given=documents(policies=_people_alone()))
    with pytest.raises(Refused) as told:
        await answered(bench, approval)
    assert told.value.code == "workflow.not_asked"


@pytest.mark.requirement("WORKFLOW-02")
@pytest.mark.parametrize("tier", [1, 2, 3])
async def test_workflows_answer_for_no_tier_that_does_not_allow_it(tier: int):
    refused = replace(LIMITS, workflows=tuple("refused" if one == tier else "allowed" for one in range(4)))
    given = documents(workflow(tierMax=3), tier=tier)
    bench, approval = await waiting(given=given, limits=refused)
    with pytest.raises(Refused) as told:
        await answered(bench, approval)
    assert told.value.code == "workflow.tier"
    assert now(bench, approval).state == "pending"


@pytest.mark.requirement("WORKFLOW-02")
async def test_of_high_and_critical_tiers_none_allows_it_unless_it_is_said():
    from answerable.flows.walk import WalkLimits

    assert WalkLimits().workflows == ("allowed", "allowed", "refused", "refused")


@pytest.mark.requirement("WORKFLOW-02")
@pytest.mark.parametrize(
    ("spec", "code"),
    [({"tierMax": 1}, "workflow.tier"), ({"capabilities": ["crm.read"]}, "workflow.capability")],
)
async def test_a_workflow_answers_nothing_beyond_its_document(spec: dict[str, Any], code: str):
    bench, approval = await waiting(given=documents(workflow(**spec)))
    with pytest.raises(Refused) as told:
        await answered(bench, approval)
    assert told.value.code == code


@pytest.mark.requirement("WORKFLOW-03")
async def test_an_agents_key_is_none_of_a_workflows():
    bench, approval = await waiting()
    for key in ("scout", "rover", "erin", "somebody"):
        with pytest.raises(Unverified) as told:
            await answered(bench, approval, key=key)
        assert told.value.code == "approval.key"
    # Nor does who came as this workflow answer as another one, or as a person.
    for by in ("erin", "bob", "workflow:other"):
        with pytest.raises(Unverified) as told:
            await answered(bench, approval, by=by, key="bob" if by == "bob" else CHECK)
        assert told.value.code == "approval.key"
    assert now(bench, approval).answers == ()


@pytest.mark.requirement("WORKFLOW-03")
async def test_what_a_workflow_signed_is_nothing_at_the_door_of_people():
    bench, approval = await waiting()
    with pytest.raises(Unverified) as told:
        await answer_approval(bench.walk, approval.id, token_of(bench, approval))
    assert told.value.code == "approval.key"


@pytest.mark.requirement("WORKFLOW-03")
async def test_a_workflows_key_acts_for_nobody():
    """Neither as a registered agent nor as an instance that is enrolled with it."""
    twice = changed(documents(), "Agent", "rover", keys=[_jwk(CHECK)])
    assert "reference.claimed_twice" in {code for _, code in faults(twice)}
    assert in_force(twice) == set()
    bench, _ = await waiting(given=_with_attested_scout())
    workloads, _ = measured(bench)
    with pytest.raises(Refused) as told:
        await enrol(workloads, evidence=evidence_of(), key=signing_key(CHECK).public)
    assert told.value.code == "instance.key_registered"


@pytest.mark.requirement("WORKFLOW-03")
async def test_a_key_that_was_an_instances_is_no_workflows():
    bench, _ = await waiting(given=[*_with_attested_scout()[:-1], workflow(keys=[])])
    workloads, processes = measured(bench)
    await enrol(workloads, evidence=evidence_of(), key=signing_key(CHECK).public)
    await apply_registry(bench.walk, [workflow()], by="operator")
    processes.start(7, uid=3000, path="/opt/check")
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, over_socket(7))
    assert told.value.code == "workflow.key_taken"


@pytest.mark.requirement("WORKFLOW-03")
@pytest.mark.parametrize(
    ("agent", "chosen"),
    [
        ({"attestation": [[UID]]}, [UID, PATH]),
        ({"attestation": [[UID, PATH, "unix:gid:1"]]}, [UID, PATH]),
        ({"unixUids": [3000]}, [UID, PATH]),
        ({"certificates": ["ab" * 32]}, ["mtls:sha256:" + "ab" * 32]),
    ],
)
def test_no_process_can_be_registered_as_agent_and_workflow(agent: dict[str, Any], chosen: list[str]):
    given = changed(documents(workflow(attestation=[chosen])), "Agent", "rover", **agent)
    assert ("/spec/attestation/0", "workflow.is_agent") in faults(given)
    assert in_force(given) == set()


@pytest.mark.requirement("WORKFLOW-03")
def test_an_ai_is_registered_as_no_workflow():
    assert ("/spec/ai", "workflow.ai") in faults(documents(workflow(ai=True)))
    silent = workflow()
    del silent["spec"]["ai"]
    assert ("/spec/ai", "document.missing") in faults(documents(silent))
    # Nor is a program that anybody may start: its user is part of what it is known by.
    assert ("/spec/attestation/0", "workflow.attestation") in faults(
        documents(workflow(attestation=[[PATH]]))
    )


@pytest.mark.requirement("WORKFLOW-04")
async def test_only_what_is_measured_to_be_the_workflow_comes_in():
    bench, _ = await waiting()
    workloads, processes = measured(bench)
    processes.start(7, uid=3000, path="/opt/check")
    assert (await attested_workflow(workloads, over_socket(7))).name == CHECK
    processes.start(8, uid=3000, path="/opt/other")
    processes.start(9, uid=1000, path="/opt/check")
    for pid, uid in ((8, 3000), (9, 1000)):
        with pytest.raises(Refused) as told:
            await attested_workflow(workloads, over_socket(pid, uid=uid))
        assert told.value.code == "workflow.unattested"
    with pytest.raises(Unverified) as gone:
        await attested_workflow(workloads, over_socket(9))
    assert gone.value.code == "workflow.channel"
    with pytest.raises(Unverified) as nothing:
        await attested_workflow(workloads, None)
    assert nothing.value.code == "workflow.channel"


@pytest.mark.requirement("WORKFLOW-04")
async def test_what_an_agent_started_is_no_workflow():
    bench, _ = await waiting(given=_with_attested_scout())
    workloads, processes = measured(bench)
    agent = processes.start(5)
    await enrol(workloads, evidence=evidence_of(), key=signing_key("k").public, process=agent.process)
    child = processes.start(7, uid=3000, path="/opt/check")
    assert (await attested_workflow(workloads, over_socket(7))).name == CHECK
    processes.facts[7] = replace(child, ancestors=(agent.process,))
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, over_socket(7))
    assert told.value.code == "workflow.is_agent"


@pytest.mark.requirement("WORKFLOW-04")
async def test_what_also_fits_an_agent_is_no_workflow():
    """Two sets of which neither holds the other can both be met by one process."""
    given = changed(documents(), "Agent", "rover", attestation=[[UID.replace("uid", "gid"), PATH]])
    assert faults(given) == []
    bench, _ = await waiting(given=given)
    workloads, processes = measured(bench)
    processes.facts[7] = replace(processes.start(7, uid=3000, path="/opt/check"), gid=3000)
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, over_socket(7))
    assert told.value.code == "workflow.is_agent"


@pytest.mark.requirement("WORKFLOW-04")
@pytest.mark.parametrize("known", ["certificate", "name elsewhere"])
async def test_a_workflow_of_another_machine_shows_a_certificate(known: str):
    domain = trust_domain("plant.test")
    bench, _ = await waiting(given=documents(workflow(keys=[])))
    authority = Authority(domain, bench.clock.now())
    certificate = authority.svid("spiffe://plant.test/change-check")
    shows = {
        "certificate": f"mtls:sha256:{sha256(certificate).hexdigest()}",
        "name elsewhere": "spiffe:id:spiffe://plant.test/change-check",
    }[known]
    await apply_registry(bench.walk, [workflow(attestation=[[shows]])], by="operator")
    workloads, _ = measured(bench)
    if known == "name elsewhere":
        with pytest.raises(Refused) as unknown:
            await attested_workflow(workloads, shown(certificate))
        assert unknown.value.code == "workflow.unattested", "while its trust domain is believed by nobody"
    trust = FixedTrust()
    trust.found[domain] = authority.bundle()
    own = workloads.trust.domain
    workloads.trust = SimpleNamespace(domain=own, bundle=trust.bundle)
    assert (await attested_workflow(workloads, shown(certificate))).name == CHECK
    with pytest.raises(Refused) as other:
        await attested_workflow(workloads, shown(authority.svid("spiffe://plant.test/other")))
    assert other.value.code == "workflow.unattested"
    ours = Authority(own, bench.clock.now()).svid(f"spiffe://{own}/agent/x")
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, shown(ours))
    assert told.value.code == "workflow.is_agent"


@pytest.mark.requirement("WORKFLOW-05")
@pytest.mark.parametrize("part", ["owner", "backup owner", "owner of the agent"])
async def test_nobody_approves_for_himself_by_his_workflow(part: str):
    """Not by one that he owns or stands in for, where he gave the task or owns an agent of it."""
    ownership = workflow()["spec"]["ownership"]
    mine = {
        "owner": workflow(ownership={**ownership, "owner": "alice"}),
        "backup owner": workflow(ownership={**ownership, "backupOwner": "alice"}),
        "owner of the agent": workflow(),
    }[part]
    given = documents(mine)
    if part == "owner of the agent":
        given = changed(given, "Agent", "scout", ownership={**ownership, "owner": "erin"})
    bench, approval = await waiting(given=given)
    with pytest.raises(Refused) as told:
        await answered(bench, approval)
    assert told.value.code == "workflow.involved"
    assert now(bench, approval).state == "pending"


@pytest.mark.requirement("WORKFLOW-05")
async def test_two_workflows_of_one_owner_count_once():
    other = workflow("second-check", uid=3001)
    bench, approval = await waiting(60_000, given=documents(workflow(), other))
    assert (await answered(bench, approval)).state == "pending"
    with pytest.raises(Refused) as told:
        await answered(bench, now(bench, approval), "second-check")
    assert told.value.code == "approval.answered_already"
    assert (await bench.answer(now(bench, approval), by="carol")).state == "approved"
    assert (await bench.refund(60_000)).outcome is not None


@pytest.mark.requirement("WORKFLOW-05")
@pytest.mark.parametrize("first", ["workflow", "owner"])
async def test_a_workflow_and_its_owner_count_once(first: str):
    owned = workflow(ownership={**workflow()["spec"]["ownership"], "owner": "carol"})
    bench, approval = await waiting(600_000, given=documents(owned))
    if first == "owner":
        await bench.answer(approval, by="carol")
        with pytest.raises(Refused) as told:
            await answered(bench, now(bench, approval))
    else:
        await answered(bench, approval)
        with pytest.raises(Refused) as told:
            await bench.answer(now(bench, approval), by="carol")
    assert told.value.code == "approval.answered_already"
    assert now(bench, approval).state == "pending"


@pytest.mark.requirement("WORKFLOW-05")
async def test_an_owner_says_no_after_the_workflow_said_yes():
    owned = workflow(ownership={**workflow()["spec"]["ownership"], "owner": "carol"})
    bench, approval = await waiting(60_000, given=documents(owned))
    await answered(bench, approval)
    assert (await bench.answer(now(bench, approval), by="carol", verdict="deny")).state == "denied"


@pytest.mark.requirement("WORKFLOW-06")
@pytest.mark.parametrize("before_answer", [True, False])
@pytest.mark.parametrize("how", ENDS)
async def test_what_does_not_stand_neither_answers_nor_counts(how: str, before_answer: bool):
    """Whether it ended before it answered, or between its yes and the act."""
    bench, approval = await waiting()
    if not before_answer:
        assert (await answered(bench, approval)).state == "approved"
    await _ended(bench, how)
    if before_answer:
        with pytest.raises((Refused, Unverified)):
            await answered(bench, approval)
        assert now(bench, approval).answers == ()
    else:
        assert (await bench.refund(6000)).outcome is None


@pytest.mark.requirement("WORKFLOW-07")
async def test_an_answer_serves_once_and_here_alone():
    bench, approval = await waiting(60_000)
    token = token_of(bench, approval)
    await answer_as_workflow(bench.walk, CHECK, approval.id, token)
    with pytest.raises((Refused, Unverified)) as again:
        await answer_as_workflow(bench.walk, CHECK, approval.id, token)
    assert again.value.code == "approval.nonce"
    other = (await bench.refund(6001)).approval
    assert other is not None
    with pytest.raises(Unverified) as elsewhere:
        await answer_as_workflow(bench.walk, CHECK, other.id, token)
    assert elsewhere.value.code == "approval.other"
    with pytest.raises(Unverified) as deployment:
        await answered(bench, other, audience="another.test/ledger")
    assert deployment.value.code == "approval.audience"
    with pytest.raises(Unverified) as changed_one:
        await answered(bench, replace(other, shown=approval.shown))
    assert changed_one.value.code == "approval.digest"


@pytest.mark.requirement("WORKFLOW-07")
async def test_the_timeline_tells_which_workflow_of_whom():
    bench, approval = await waiting()
    await answered(bench, approval)
    found = reconstruct_timeline(bench.walk.ledger.replay(), "m-1", bench.walk.subject_keys.find)
    told = [line.text for line in found]
    assert any(f"Workflow {CHECK} of erin approved" in text for text in told), told


async def _ended(bench: Any, how: str) -> None:
    match how:
        case "disabled":
            await apply_registry(bench.walk, [workflow(status="disabled")], by="operator")
        case "review overdue":
            ownership = {**workflow()["spec"]["ownership"], "reviewDate": "2020-01-01"}
            await apply_registry(bench.walk, [workflow(ownership=ownership)], by="operator")
        case "owner revoked":
            revoke_now(bench, Revocable("owner", "erin"))
        case "key revoked":
            revoke_now(bench, Revocable("key", signing_key(CHECK).public.thumbprint))
        case "key held":
            from answerable.core.containment.hold import holdable

            await stop(bench, holdable("key", signing_key(CHECK).public.thumbprint))
        case "owner disabled":
            erin = next(one for one in documents() if one["metadata"]["name"] == "erin")
            disabled = {**erin, "spec": {**erin["spec"], "status": "disabled"}}
            await apply_registry(bench.walk, [disabled], by="operator")


def _people_alone() -> str:
    from tests.workflow_world import POLICIES

    return POLICIES.replace("checks:1", "approvers:1")


def _with_attested_scout() -> list[Any]:
    return changed(documents(), "Agent", "scout", attestation=[["unix:path:/opt/scout", "unix:uid:1000"]])


def _jwk(name: str) -> Any:
    from answerable.core.canonical import parse

    return parse(signing_key(name).public.jwk.encode())
