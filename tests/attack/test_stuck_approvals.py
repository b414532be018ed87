"""Who said yes is gone before the agent came back: nobody else could answer, and the agent heard that it waits."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.approval.approval import Approval
from answerable.core.containment.hold import holdable
from answerable.core.ledger.tags import Tag
from answerable.flows.escalation.appoint_deputy import end_duty
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.place_hold import place_hold
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.duty import DAY, delegate, duty_bench, waiting
from tests.worlds.parts import to_apply, to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CEREMONY-10")]


def without(person: str, *, group: str) -> list[Any]:
    """The bench's documents, and this person in the group no more."""
    documents: list[Any] = bench_documents()
    for one in documents:
        if (one["kind"], one["metadata"]["name"]) == ("Principal", person):
            one["spec"]["groups"] = [name for name in one["spec"]["groups"] if name != group]
    return documents


def now(bench: Bench, approval: Approval) -> Approval:
    found = bench.authority.approvals.find(approval.id)
    assert found is not None
    return found


async def is_asked_anew(bench: Bench, old: Approval, *, by: str) -> None:
    """The agent hears of a new question, the old one is void on record, and somebody else lets it run, once."""
    again = await bench.refund(6_000)
    assert again.approval is not None
    assert (again.approval.id != old.id, again.approval.state) == (True, "pending")
    assert now(bench, old).state == "void"
    assert now(bench, old).void_because == ("whose yes counts",)
    [entry] = bench.entries(Tag.APPROVAL_VOID)
    assert (entry["approval"], entry["because"]) == (old.id, ["whose yes counts"])
    assert f"asked before, as {old.id}" in again.approval.shown.bytes.decode()
    # Asking once more finds the same question, and asks nobody anew.
    same = await bench.refund(6_000)
    assert same.approval is not None
    assert same.approval.id == again.approval.id
    assert (await bench.answer(again.approval, by=by)).state == "approved"
    assert (await bench.refund(6_000)).outcome is not None
    assert now(bench, again.approval).state == "used"


async def test_the_approver_left_the_group():
    bench = await Bench().registered()
    await bench.issue()
    asked = await waiting(bench)
    assert (await bench.answer(asked, by="bob")).state == "approved"
    await apply_registry(*to_apply(bench.walk), without("bob", group="approvers"), by="operator")
    await is_asked_anew(bench, asked, by="carol")


async def test_the_approver_is_held_by_now():
    bench = await Bench().registered()
    await bench.issue()
    asked = await waiting(bench)
    assert (await bench.answer(asked, by="carol")).state == "approved"
    await place_hold(*to_hold(bench.walk), holdable("owner", "carol"), by="operator")
    await is_asked_anew(bench, asked, by="bob")


async def test_the_delegation_of_duty_by_which_a_deputy_answered_was_ended():
    bench = await duty_bench()
    given = await delegate(bench, to="dan")
    asked = await waiting(bench)
    assert (await bench.answer(asked, by="dan")).state == "approved"
    await end_duty(bench.recorder, bench.asking.duties, given.id, by="bob")
    await is_asked_anew(bench, asked, by="carol")


async def test_that_the_time_of_a_delegation_is_over_takes_nothing_from_a_yes_of_before():
    bench = await duty_bench()
    end = bench.clock.now() + 60_000
    await delegate(bench, to="dan", until=end)
    assert end < bench.clock.now() + DAY
    asked = await waiting(bench)
    assert (await bench.answer(asked, by="dan")).state == "approved"
    bench.clock.advance(61)
    assert (await bench.refund(6_000)).outcome is not None


async def test_what_too_few_have_answered_yet_goes_on_waiting():
    bench = await Bench().registered()
    await bench.issue()
    asked = await waiting(bench, 60_000)
    assert (await bench.answer(asked, by="bob")).state == "pending"
    await apply_registry(*to_apply(bench.walk), without("bob", group="approvers"), by="operator")
    again = await bench.refund(60_000)
    assert again.approval is not None
    assert again.approval.id == asked.id
