"""Answers by a click in Slack, from the message to the ledger, over the door and a stand-in that is strict."""

from __future__ import annotations

import json

import pytest

from answerable.core.approval.chat_click import APPROVE, DENY, DENY_BECAUSE, click_in
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.flows.reach_desk import Route
from answerable.flows.walk import WalkLimits
from tests.click_world import (
    CLICKS,
    TEAM,
    TO_PEOPLE,
    buttons_in,
    click_documents,
    clicking,
    person_document,
    text_of,
    user_of,
)

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("BUTTON-01")
async def test_a_yes_by_click_lets_the_action_run_and_the_message_says_who_said_it():
    async with clicking() as world:
        asked = await world.asked()
        assert world.buttons().keys() == {APPROVE, DENY, DENY_BECAUSE}
        answer = await world.press()
        assert (answer.status_code, answer.content) == (200, b"")
        assert world.now(asked).state == "approved"
        await world.reach.tell("slack")
        assert (await world.bench.refund(6_000)).outcome is not None
    assert world.slack.asked == [user_of("bob")], "asked of Slack at the click"
    for one in world.slack.updated:
        assert "approved by: bob" in json.dumps(one["blocks"])
        assert not buttons_in(one)
    assert {one["channel"] for one in world.slack.updated} == {"DU0BOB", "DU0CAROL"}
    assert not world.slack.whispered


@pytest.mark.requirement("BUTTON-01")
@pytest.mark.parametrize(("because", "kept"), [("", "other"), ("too_much", "too_much")])
async def test_a_no_by_click_has_a_reason(because, kept):
    async with clicking() as world:
        asked = await world.asked()
        assert (await world.press(verdict="deny", because=because)).status_code == 200
        after = world.now(asked)
    assert (after.state, after.answers[0].reason) == ("denied", kept)


@pytest.mark.requirement("BUTTON-02")
async def test_the_message_shows_the_whole_card_beside_its_buttons():
    async with clicking() as world:
        asked = await world.asked(6_321)
        text = text_of(world.told())
        card = json.loads(asked.card.bytes)
    for piece in (
        card["sentence"],
        *card["badges"],
        *(f"{label}: {one}" for label, one in card["lines"]),
        *(f"argument {label}: {one}" for label, one in card["arguments"]),
    ):
        assert piece in text
    assert "6321" in text
    assert f"/approvals/{asked.id}" in text or "console" not in text
    assert all(block.get("expand") for block in world.told()["blocks"][1:-2] if block["type"] == "section")


@pytest.mark.requirement("BUTTON-02")
@pytest.mark.parametrize(
    "case", ["4711" + "0" * 400, "47‮11", "4711" + "&" * 290, "a[.]example", " ".join("x" * 30)]
)
async def test_where_not_all_of_it_can_be_seen_in_the_message_there_are_no_buttons(case):
    async with clicking() as world:
        answer = await world.bench.act("refund", {"case": case, "amount": 6_000})
        assert answer.approval is not None
        await world.reach.tell("slack")
        assert bool(world.buttons()) is (case == " ".join("x" * 30))


@pytest.mark.requirement("BUTTON-03")
@pytest.mark.parametrize(
    ("limits", "documents", "amount"),
    [
        (WalkLimits(), {}, 6_000),
        (WalkLimits(signatures=("chat", "chat", "any", "any")), {}, 6_000),
        (WalkLimits(signatures=("chat", "chat", "passkey", "any")), {}, 6_000),
        (WalkLimits(signatures=("chat",) * 4), {"tier": 3}, 6_000),
        (WalkLimits(signatures=("chat",) * 4, look_seconds_min=(0, 0, 5, 0)), {}, 6_000),
        (CLICKS, {}, 60_000),
        (CLICKS, {"sensitivity": "confidential"}, 6_000),
        (CLICKS, {"sensitivity": "restricted"}, 6_000),
    ],
    ids=["off", "other tiers", "passkey", "critical", "looks", "two people", "confidential", "restricted"],
)
async def test_where_no_click_counts_there_is_a_link_and_no_button(limits, documents, amount):
    async with clicking(limits=limits, documents=click_documents(**documents)) as world:
        asked = await world.asked(amount)
        assert not world.buttons()
        assert b'"by_click"' not in asked.shown.bytes
        # Nothing of the arguments goes where it did not go before.
        assert "argument amount" not in json.dumps(world.slack.posted)


@pytest.mark.requirement("BUTTON-03")
async def test_what_goes_to_a_channel_or_to_whom_the_registry_does_not_know_there_has_no_buttons():
    people = {
        "bob": person_document("bob", slack=None),
        "carol": person_document("carol", slack={"team": TEAM, "user": user_of("dan")}),
        "dan": person_document("dan", groups=("sales",)),
    }
    routes = (*TO_PEOPLE, Route(group="approvers", channel="slack", place="C0PLACE"))
    async with clicking(documents=click_documents(people=people), routes=routes) as world:
        await world.asked()
    assert {one["channel"] for one in world.slack.posted} == {"U0BOB", "U0CAROL", "C0PLACE"}
    assert not any(buttons_in(one) for one in world.slack.posted), "nobody, two at one account, and a place"


@pytest.mark.requirement("BUTTON-07")
async def test_the_ledger_says_what_the_chat_said_and_calls_it_no_signature():
    async with clicking() as world:
        asked = await world.asked()
        await world.press()
        value = world.buttons()[APPROVE]
    (stored,) = [one for one in world.bench.walk.ledger.replay() if one.tag == Tag.APPROVAL_ANSWER]
    leaf = json.loads(stored.leaf)
    assert (leaf["strength"], leaf["verdict"], leaf["state"]) == ("chat", "approve", "approved")
    fields = {
        one.name: bytes(one.value) for one in disclosures_of(stored, world.bench.walk.subject_keys.find)
    }
    kept = click_in(json.loads(fields["token"]))
    assert (kept.iss, kept.team, kept.user) == ("bob", TEAM, user_of("bob"))
    assert (kept.action, kept.rendering, kept.approval) == (asked.shown.hex, asked.card.hex, asked.id)
    everything = b"".join(bytes(one) for one in fields.values()) + stored.leaf
    for secret in (
        value,
        "secret-right",
        "d8c1bb837935619ccad0f624c448ffb3",
        "verification-token",
        "8f742231",
    ):
        assert secret.encode() not in everything


@pytest.mark.requirement("BUTTON-06")
async def test_whoever_clicks_when_it_is_over_is_told_so_and_nobody_else():
    async with clicking() as world:
        asked = await world.asked()
        theirs = world.buttons("carol")[APPROVE]
        await world.press()
        await world.press(action_ts="2.2")
        await world.press("carol", value=theirs)
        assert [one["user"] for one in world.slack.whispered] == ["U0BOB", "U0CAROL"]
        assert "was used" in world.whispers()[0]
        assert "It is approved" in world.whispers()[1]
        world.bench.clock.advance(16 * 60)
        other = await world.asked(7_000)
        world.bench.clock.advance(16 * 60)
        await world.press(value=world.buttons()[APPROVE])
        assert "too old" in world.whispers()[2]
    assert world.answers() == 1
    assert world.now(asked).state_at(asked.created_at + 1) == "approved"
    assert not world.now(other).answers
