"""Who says yes: people of the groups that policy asks, as many as it asks, and none whose own agent it is."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.errors import Refused
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.workloads.register_manifest import register_manifest
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.contracts.manifest_register import sample_signed

pytestmark = pytest.mark.anyio


async def waiting(
    asks: str, *, owner: str = "", groups: dict[str, list[str]] | None = None
) -> tuple[Bench, Any]:
    """A refund that waits for these people. owner: of the agent. groups: of people, beside what they are in."""
    documents: list[Any] = bench_documents(POLICIES.replace("approvers:1", asks))
    for one in documents:
        if one["kind"] == "Principal":
            one["spec"]["groups"] = [
                *one["spec"].get("groups", []),
                *(groups or {}).get(one["metadata"]["name"], []),
            ]
        if owner and one["kind"] == "Agent" and one["metadata"]["name"] == "scout":
            one["spec"]["ownership"] = {**one["spec"]["ownership"], "owner": owner, "backupOwner": "alice"}
    bench = await Bench().registered(documents)
    await bench.issue()
    approval = (await bench.refund(6000)).approval
    assert approval is not None
    return bench, approval


@pytest.mark.requirement("ANSWERER-01")
async def test_people_of_any_of_the_groups_answer():
    bench, approval = await waiting("sales|approvers:2")
    assert (await bench.answer(approval, by="dan")).state == "pending"
    now = bench.authority.approvals.find(approval.id)
    assert now is not None
    assert (await bench.answer(now, by="bob")).state == "approved"
    assert (await bench.refund(6000)).outcome is not None


@pytest.mark.requirement("ANSWERER-01")
async def test_one_person_in_two_of_the_groups_is_one_person():
    bench, approval = await waiting("sales|approvers:2", groups={"bob": ["sales"]})
    assert (await bench.answer(approval, by="bob")).state == "pending"
    now = bench.authority.approvals.find(approval.id)
    assert now is not None
    with pytest.raises(Refused) as told:
        await bench.answer(now, by="bob")
    assert told.value.code == "approval.answered_already"
    assert (await bench.refund(6000)).outcome is None


@pytest.mark.requirement("ANSWERER-01")
async def test_who_is_in_none_of_the_groups_does_not_answer():
    bench, approval = await waiting("board|sales:1", groups={"carol": ["board"]})
    with pytest.raises(Refused) as told:
        await bench.answer(approval, by="bob")
    assert told.value.code == "approval.not_asked"
    assert (await bench.answer(approval, by="carol")).state == "approved"


@pytest.mark.requirement("ANSWERER-02")
async def test_nobody_says_yes_to_what_their_own_agent_does():
    bench, approval = await waiting("approvers:1", owner="bob")
    with pytest.raises(Refused) as told:
        await bench.answer(approval, by="bob")
    assert told.value.code == "approval.own_agent"
    assert bench.authority.approvals.find(approval.id) == approval
    assert (await bench.answer(approval, by="carol")).state == "approved"


@pytest.mark.requirement("ANSWERER-02")
async def test_the_owner_of_an_agent_may_say_no():
    bench, approval = await waiting("approvers:1", owner="bob")
    assert (await bench.answer(approval, by="bob", verdict="deny")).state == "denied"


def drifting() -> list[Any]:
    """An agent that runs although the bench measures nothing of its manifest."""
    documents: list[Any] = bench_documents()
    for one in documents:
        if one["kind"] == "Agent" and one["metadata"]["name"] == "scout":
            one["spec"]["drift"] = "mark"
    return documents


@pytest.mark.requirement("ANSWERER-02")
async def test_a_backup_owner_who_signed_for_the_agent_answers_for_it():
    """Who vouches for what an agent is made of does not say yes to what it does; until then they only stand by."""
    bench = await Bench().registered(drifting())
    await bench.issue()
    before = (await bench.refund(6000)).approval
    assert before is not None
    assert (await bench.answer(before, by="bob")).state == "approved"
    await register_manifest(
        bench.recorder,
        bench.authority,
        bench.asking.under_way,
        bench.live,
        sample_signed(owner="bob").token,
        by="operator",
    )
    approval = (await bench.refund(6001)).approval
    assert approval is not None
    with pytest.raises(Refused) as told:
        await bench.answer(approval, by="bob")
    assert told.value.code == "approval.own_agent"
    assert (await bench.answer(approval, by="carol")).state == "approved"


@pytest.mark.requirement("ANSWERER-02")
async def test_a_manifest_that_the_owner_signed_leaves_the_backup_owner_free():
    bench = await Bench().registered(drifting())
    await bench.issue()
    await register_manifest(
        bench.recorder,
        bench.authority,
        bench.asking.under_way,
        bench.live,
        sample_signed(owner="alice").token,
        by="operator",
    )
    approval = (await bench.refund(6000)).approval
    assert approval is not None
    assert (await bench.answer(approval, by="bob")).state == "approved"


@pytest.mark.requirement("ANSWERER-02")
async def test_where_the_settings_say_so_no_backup_owner_says_yes():
    bench = await Bench(limits=WalkLimits(backup_owners_approve=False)).registered()
    await bench.issue()
    approval = (await bench.refund(6000)).approval
    assert approval is not None
    with pytest.raises(Refused) as told:
        await bench.answer(approval, by="bob")
    assert told.value.code == "approval.own_agent"
    assert (await bench.answer(approval, by="bob", verdict="deny")).state == "denied"
