"""Workflows answer for their owners: what they may say yes to, and every way in which somebody passes for one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from answerable.adapters.cedar.set_checks import registered_in
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.registry.parsing.active import snapshot_of
from answerable.errors import Refused, Unverified
from answerable.flows.approval.answer_as_workflow import (
    answer_as_workflow,
    open_to_workflow,
    waiting_for_workflow,
)
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.samples import signing_key
from tests.worlds.duty import delegate, duty_document
from tests.worlds.hold import stop
from tests.worlds.mandate import changed
from tests.worlds.parts import to_apply
from tests.worlds.revocation import revoke_now
from tests.worlds.stories import lines_of
from tests.worlds.workflow import (
    CHECK,
    LIMITS,
    answered,
    documents,
    faults,
    now,
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
    current = bench.authority.registry.current.workflows[CHECK]
    assert [one.id for one in waiting_for_workflow(bench.authority, bench.walk.limits, current)] == [
        approval.id
    ]
    for other in (
        replace(current, groups=("audits",)),
        replace(current, capabilities=("crm.read",)),
        replace(current, tier_max=1),
    ):
        assert waiting_for_workflow(bench.authority, bench.walk.limits, other) == []
        with pytest.raises(Refused) as told:
            open_to_workflow(
                bench.recorder.ledger,
                bench.authority,
                bench.asking.openings,
                bench.walk.limits,
                bench.walk.entropy,
                other,
                approval.id,
            )
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
    from answerable.flows.state.walk_limits import WalkLimits

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
    await answer_as_workflow(
        bench.recorder, bench.authority, bench.asking, bench.counters, CHECK, approval.id, token
    )
    with pytest.raises((Refused, Unverified)) as again:
        await answer_as_workflow(
            bench.recorder, bench.authority, bench.asking, bench.counters, CHECK, approval.id, token
        )
    assert again.value.code == "approval.nonce"
    other = (await bench.refund(6001)).approval
    assert other is not None
    with pytest.raises(Unverified) as elsewhere:
        await answer_as_workflow(
            bench.recorder, bench.authority, bench.asking, bench.counters, CHECK, other.id, token
        )
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
    found = lines_of(bench.recorder, "m-1")
    told = [line.text for line in found]
    assert any(f"Workflow {CHECK} of erin approved" in text for text in told), told


async def _ended(bench: Any, how: str) -> None:
    match how:
        case "disabled":
            await apply_registry(*to_apply(bench.walk), [workflow(status="disabled")], by="operator")
        case "review overdue":
            ownership = {**workflow()["spec"]["ownership"], "reviewDate": "2020-01-01"}
            await apply_registry(*to_apply(bench.walk), [workflow(ownership=ownership)], by="operator")
        case "owner revoked":
            revoke_now(bench, RevocationTarget("owner", "erin"))
        case "key revoked":
            revoke_now(bench, RevocationTarget("key", signing_key(CHECK).public.thumbprint))
        case "key held":
            from answerable.core.containment.hold import holdable

            await stop(bench, holdable("key", signing_key(CHECK).public.thumbprint))
        case "owner disabled":
            erin = next(one for one in documents() if one["metadata"]["name"] == "erin")
            disabled = {**erin, "spec": {**erin["spec"], "status": "disabled"}}
            await apply_registry(*to_apply(bench.walk), [disabled], by="operator")


def _people_alone() -> str:
    from tests.worlds.workflow import POLICIES

    return POLICIES.replace("checks:1", "approvers:1")


@pytest.mark.requirement("WORKFLOW-02")
async def test_policies_count_workflows_by_who_owns_them():
    """A rule that asks two of a group is at fault where all its workflows are one person's."""
    one, second = workflow(), workflow("second-check", uid=3001)
    franks = {**one["spec"]["ownership"], "owner": "frank", "backupOwner": "erin"}
    other = workflow("third-check", uid=3002, ownership=franks)
    silent = workflow("fourth-check", uid=3003, ownership=franks, keys=[])
    for given, count in (((one,), 1), ((one, second), 1), ((one, other), 2), ((one, silent), 1)):
        found = documents(*given)
        answering = registered_in(found, snapshot_of(found)).answering
        assert answering.count(["checks"]) == answering.count(["checks"], asks="passkey") == count


@pytest.mark.requirement("WORKFLOW-02", "WORKFLOW-05")
async def test_a_workflow_is_nobodys_deputy():
    """Its owner stands in for an approver; that makes no program one of the people who are asked."""
    given = [*documents(), duty_document(deputies=["checkers"])]
    given = changed(given, "Principal", "erin", groups=["checkers"])
    bench, approval = await waiting(60_000, given=given)
    await delegate(bench, to="erin")
    after = await answered(bench, approval)
    assert (after.state, after.answers[0].in_place_of) == ("pending", None)
    assert after.answers[0].groups == ("checks",)
