"""What an action would do, as a card tells it: by whose word, at what price, and what a hostile server makes of it."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import anyio
import pytest
from msgspec import structs

from answerable.core.action.outcome import Outcome
from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.card import is_card_of
from answerable.core.canonical import freeze, parse
from answerable.core.containment.hold import HoldTarget
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant
from answerable.core.search.query import parsed_query
from answerable.errors import Broken, Refused
from answerable.flows.forensics.count_scope import count_scope
from answerable.flows.forensics.describe_name import describe_name, may_be
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.walk.govern_action import gather_facts, govern_action
from answerable.flows.walk.preview_effect import Governing, preview_effect
from answerable.flows.walk.verify_request import verify_request
from answerable.testing.builders import POLICIES, Bench
from tests.attack.test_check_answers import found
from tests.worlds.hold import stop
from tests.worlds.parts import to_decide, to_govern, to_plan
from tests.worlds.preview import PATIENT, asked_with, bench, documents, effect_of, says, why_none
from tests.worlds.stories import lines_of, teller_of, told_of
from tests.worlds.walk import fields_of

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("PREVIEW-01")
async def test_the_card_shows_what_would_happen_and_whose_word_that_is():
    house = await bench()
    house.upstream.answer = says(
        {
            "amount": {"minor": 600000, "currency": "EUR"},
            "recipients": ["a@x.example", "b@x.example"],
            "left": 3,
        }
    )
    asked = (await house.refund(6000)).approval
    (first, *rest) = effect_of(asked)
    assert first[0] == "dry run"
    assert "`crm`" in first[1]
    assert "not verified" in first[1]
    assert "as of 2026-" in first[1]
    assert rest == [
        ["amount", "EUR 6,000.00"],
        ["recipients", '2: "a@x.example", "b@x.example"'],
        ["says", '"left": 3'],
    ]
    assert asked is not None
    assert (await house.answer(asked)).state == "approved"
    (fields,) = fields_of(house, Tag.APPROVAL_ASKED)
    assert fields["card"] == parse(asked.card.bytes), "what was shown stands in the ledger"


@pytest.mark.requirement("PREVIEW-01")
async def test_a_stranger_finds_what_was_shown_signed_and_no_other_words_in_its_place():
    house = await bench()
    house.upstream.answer = says({"rows": 3})
    asked = (await house.refund(6000)).approval
    assert asked is not None
    await house.answer(asked)
    assert (await house.refund(6000)).outcome is not None
    assert found(house) == ([], 0), (
        "the look-up itself needed no answer, and is none of those that are compared"
    )
    card: Any = parse(asked.card.bytes)
    fewer = freeze({**card, "effect": [*card["effect"][:1], ["rows", "2"]]})
    assert is_card_of(fewer, asked.shown)
    assert found(house, {(Tag.APPROVAL_ASKED, "card"): fewer})[0] == ["approval.signed"]


@pytest.mark.requirement("PREVIEW-02")
async def test_a_preview_is_an_action_with_an_intent_of_its_own_that_says_what_for():
    house = await bench()
    asked = (await house.refund(6000)).approval
    assert asked is not None
    (intent,) = house.entries(Tag.INTENT)
    (outcome,) = house.entries(Tag.OUTCOME)
    (question,) = house.entries(Tag.APPROVAL_ASKED)
    assert (intent["capability"], intent["preview_of"], intent["mandate"]) == ("crm.read", asked.id, "m-1")
    assert intent["index"] < outcome["index"] < question["index"]
    assert [one.arguments for one in house.upstream.effects] == [{"case": "4711"}]
    assert not house.upstream.violations
    again = (await house.refund(6000)).approval
    assert again is not None
    assert again.id == asked.id
    assert len(house.upstream.effects) == 1, "the same question is not looked up again"
    read = await house.act()
    assert read.outcome is not None
    assert "preview_of" not in house.entries(Tag.INTENT)[-1], (
        "what the agent asked for itself says no such thing"
    )


@pytest.mark.requirement("PREVIEW-02")
async def test_the_story_of_a_task_says_that_it_was_not_the_agent_who_looked():
    house = await bench()
    asked = (await house.refund(6000)).approval
    assert asked is not None
    await house.act()
    lines = lines_of(house.walk.recorder, "m-1")
    told = [line.text for line in lines if line.kind == "intent"]
    said = f"asked by the gateway for the card of approval {asked.id}"
    assert [said in text for text in told] == [True, False]


@pytest.mark.requirement("PREVIEW-02", "SEARCH-02")
async def test_searches_and_counts_do_not_take_what_the_gateway_looked_up_for_an_action_of_the_agent():
    house = await bench()
    asked = (await house.refund(6000)).approval
    assert asked is not None
    await house.answer(asked)
    await house.refund(6000)
    await house.act()
    with told_of(house.recorder) as told, teller_of(house.recorder) as teller:
        story = told("scout")
        (look,) = [one.line for one in teller.matching(parsed_query(["kind:preview"], now=0))]
        assert f"asked by the gateway for the card of approval {asked.id}" in look.text
        assert look.index in [line.index for line in story.lines]
        assert dict(story.gist.outcomes) == {"succeeded": 2}
        allowed = [one.facts.one("kind") for one in teller.matching(parsed_query(["decision:allow"], now=0))]
        assert sorted(allowed) == ["intent", "intent", "preview"]
        assert len([*teller.matching(parsed_query(["kind:intent"], now=0))]) == 2
        assert {one.facts.one("kind") for one in teller.matching(parsed_query(["approver:bob"], now=0))} >= {
            "intent",
            "preview",
        }
        (agent,) = may_be(teller, "scout")
        shown = describe_name(teller, agent)
        assert (shown.outcomes, len(shown.newest)) == ((("succeeded", 2),), 2)
        assert look.index in [one.facts.entry for one in shown.events]
        assert count_scope(teller, parsed_query([], now=0), rows=10).count.actions == 2


@pytest.mark.requirement("PREVIEW-02")
async def test_the_agent_learns_nothing_of_what_was_looked_up():
    house = await bench()
    house.upstream.answer = says({"secret": "the customer is Amara"})
    answer = await house.refund(6000)
    assert (answer.outcome, answer.receipt, answer.narrowed) == (None, None, b"")
    assert answer.approval is not None
    assert "Amara" not in repr(
        (answer.approval.reasons, answer.approval.void_because, answer.approval.action)
    )


@pytest.mark.requirement("PREVIEW-03")
async def test_what_the_agent_may_not_read_is_not_read_for_it_either():
    house = await Bench(limits=PATIENT).registered(documents())
    await house.issue(grants=(Grant(capability="crm.refund"),))
    assert "`crm.read` is not allowed" in why_none(await asked_with(house))
    assert not house.upstream.effects
    assert not house.entries(Tag.REFUSAL, Tag.INTENT), "it was not tried, so it is no refusal of the agent's"


FORBID = (
    '@id("no-look")\n@reason("no looking")\nforbid (principal, action == Action::"crm.read", resource);\n'
)
ASKS = '@id("ask-look")\n@reason("looking waits")\n@approve("approvers:1")\n' + FORBID.split("\n", 2)[2]


@pytest.mark.requirement("PREVIEW-03")
@pytest.mark.parametrize(
    ("rule", "told"), [(FORBID, "is not allowed"), (ASKS, "would itself wait for people")]
)
async def test_what_policy_does_not_let_through_at_once_is_told_and_not_tried(rule, told):
    house = await bench(policies=POLICIES + rule)
    assert told in why_none(await asked_with(house))
    assert not house.upstream.effects
    assert len(house.walk.authority.approvals.all(pending_only=True, now=house.clock.now())) == 1, (
        "no question about a question"
    )


@pytest.mark.requirement("PREVIEW-03")
async def test_a_server_that_fails_says_nothing_or_breaks_stops_no_question(caplog):
    house = await bench()
    house.upstream.answer = lambda _: Outcome(status="failed", detail="no such case")
    assert "no such case" in why_none(await asked_with(house, 6001))
    house.upstream.answer = lambda _: Outcome(status="indeterminate", detail="the connection was lost")
    assert "not known" in why_none(await asked_with(house, 6002))

    async def breaks(_effect: Any) -> None:
        raise RuntimeError("a bug with a secret in it")

    house.upstream.before = breaks
    with caplog.at_level(logging.CRITICAL):
        told = why_none(await asked_with(house, 6003))
    assert "RuntimeError" in told
    assert "secret" not in told
    assert len(house.entries(Tag.APPROVAL_ASKED)) == 3


@pytest.mark.requirement("PREVIEW-03")
async def test_a_server_that_hangs_is_left_alone_and_its_end_is_on_record():
    house = await bench(WalkLimits(preview_ms_max=1_000))

    async def hangs(_effect: Any) -> None:
        await anyio.sleep_forever()

    house.upstream.before = hangs
    assert "did not answer `get_case` in 1 s" in why_none(await asked_with(house))
    begun, ended = house.entries(Tag.INTENT), house.entries(Tag.INDETERMINATE, Tag.OUTCOME)
    # A machine that is too busy to begin within the second begins nothing.
    assert len(begun) == len(ended)
    assert all(one["status"] in ("indeterminate", "not_started") for one in ended)
    assert not house.walk.recorder.open_intents


@pytest.mark.requirement("PREVIEW-03")
async def test_a_preview_takes_no_call_that_the_action_itself_needs():
    house = await Bench(limits=PATIENT).registered(documents())
    await house.issue(calls_max=1)
    assert "budget that the action needs" in why_none(await asked_with(house))
    asked = (await house.refund(6000)).approval
    assert asked is not None
    await house.answer(asked)
    assert (await house.refund(6000)).outcome is not None


@pytest.mark.requirement("PREVIEW-03")
async def test_what_is_asked_fits_the_tool_and_is_taken_from_the_action_alone():
    house = await bench(preview={"capability": "crm.read"})
    assert "arguments do not match the tool's schema" in why_none(await asked_with(house))
    house = await bench(preview={"capability": "crm.read", "arguments": {"case": "/case"}})
    assert (await asked_with(house))[0][0] == "dry run"
    house = await bench(preview={"capability": "crm.read", "arguments": {"case": "customer"}})
    assert "case is missing" in why_none(await asked_with(house))


@pytest.mark.requirement("PREVIEW-03")
async def test_what_holds_the_data_of_somebody_else_is_not_looked_up():
    found = documents(subject={"type": "Customer", "argument": "amount"})
    for one in found:
        if one["metadata"]["name"] == "crm.refund":
            one["spec"]["subject"] = {"type": "Customer", "argument": "amount"}
    house = await Bench(limits=PATIENT).registered(found)
    await house.issue()
    assert "another data subject than the action" in why_none(await asked_with(house))
    assert not house.upstream.effects


@pytest.mark.requirement("PREVIEW-03")
async def test_what_policy_would_narrow_is_not_looked_up_as_something_else():
    rule = (
        '@id("narrow") @reason("narrowed") @oblige("modify:case<=4710")\n'
        'forbid(principal, action == Action::"crm.read", resource);\n'
    )
    found = documents(
        policies=POLICIES + rule, arguments=[{"name": "case", "type": "decimal", "required": True}]
    )
    house = await Bench(limits=PATIENT).registered(found)
    await house.issue()
    assert "policy would narrow" in why_none(await asked_with(house))
    assert not house.upstream.effects


@pytest.mark.requirement("PREVIEW-03")
async def test_a_caller_who_leaves_while_it_is_looked_up_left_no_question_and_may_ask_again():
    house = await bench()

    async def leaves(_effect: Any) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    house.upstream.before = leaves
    with anyio.CancelScope() as scope:
        await house.refund(6000)
    assert not house.entries(Tag.APPROVAL_ASKED)
    assert [one["status"] for one in house.entries(Tag.INDETERMINATE)] == ["indeterminate"]
    assert not house.walk.recorder.open_intents
    assert not house.walk.asking.under_way.asking
    house.upstream.before = None
    assert (await asked_with(house))[0][0] == "dry run"


@pytest.mark.requirement("PREVIEW-08")
async def test_places_are_counted_without_any_tool():
    house = await Bench().registered()
    await house.issue()
    action, caller = house.request("refund", {"case": "4711", "amount": 6000})
    places = structs.replace(
        verify_request(*to_plan(house.walk), action, caller), destinations=("b.example", "a.example")
    )
    governing = Governing(gather_facts, partial(govern_action, *to_govern(house.walk)))
    lines = await preview_effect(*to_decide(house.walk), governing, places, ApprovalId("a-1"))
    assert lines == (("goes to", '2: "b.example", "a.example"'),)


@pytest.mark.requirement("PREVIEW-03")
async def test_an_invariant_that_falls_is_not_talked_away():
    house = await bench()

    async def falls(_effect: Any) -> None:
        raise Broken("a law fell", code="test.broken")

    house.upstream.before = falls
    with pytest.raises(Broken):
        await house.refund(6000)
    assert not house.entries(Tag.APPROVAL_ASKED)


@pytest.mark.requirement("PREVIEW-03")
async def test_what_became_a_question_in_the_last_moment_asks_nobody():
    house = await bench()
    action, caller = house.request("refund", {"case": "4711", "amount": 6000})
    with pytest.raises(Refused) as refused:
        await govern_action(*to_govern(house.walk), structs.replace(action, preview_of="a-1"), caller)
    assert refused.value.code == "preview.deferred"
    (entry,) = house.entries(Tag.REFUSAL)
    assert entry["preview_of"] == "a-1"
    assert not house.entries(Tag.APPROVAL_ASKED)


@pytest.mark.requirement("PREVIEW-03")
async def test_a_preview_that_is_not_in_force_any_more_is_told():
    house = await bench()
    found = documents()
    for one in found:
        if one["metadata"]["name"] == "crm.read":
            del one["spec"]["ownership"]
    await house.registered(found)
    assert "`crm.read` is not active" in why_none(await asked_with(house))


@pytest.mark.requirement("PREVIEW-06")
async def test_what_a_preview_says_changes_neither_what_is_bound_nor_what_runs():
    house = await bench()
    house.upstream.answer = says({"rows": 1})
    asked = (await house.refund(6000)).approval
    assert asked is not None
    await house.answer(asked)
    house.upstream.answer = says({"rows": 1_000_000})
    assert (await house.refund(6000)).outcome is not None
    assert [one.arguments for one in house.upstream.effects] == [
        {"case": "4711"},
        {"amount": 6000, "case": "4711"},
    ]
    used = house.walk.authority.approvals.find(asked.id)
    assert used is not None
    assert (used.state, used.void_because) == ("used", ())


@pytest.mark.requirement("PREVIEW-06")
async def test_a_hold_that_comes_while_it_is_looked_up_denies_the_question():
    house = await bench()

    async def held(_effect: Any) -> None:
        await stop(house, HoldTarget("agent", "scout"))

    house.upstream.after = held
    asked = (await house.refund(6000)).approval
    assert asked is not None
    assert asked.state == "denied"
