"""Attacks on clicks that Slack did sign: by whom, as the registry and Slack say at the click."""

from __future__ import annotations

import json

import pytest

from answerable.adapters.slack.clicks import SlackClicks
from answerable.core.approval.chat_click import APPROVE, ChatAccount
from answerable.core.base64url import to_base64url
from answerable.core.containment.hold import HoldTarget
from answerable.testing.clock import START
from answerable.testing.entropy import SeededEntropy
from tests.probes.clicks_between import Between, offer_of, refused, without_buttons
from tests.worlds.click import (
    TEAM,
    click_documents,
    clicking,
    member,
    person_document,
    user_of,
)
from tests.worlds.hold import stop
from tests.worlds.token_server import Said

pytestmark = pytest.mark.anyio


# --- by whom ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("BUTTON-06")
@pytest.mark.parametrize(
    "changes",
    [
        {"team": {"id": "T0OTHER"}, "user": {"id": "U0BOB"}},
        {"user": {"id": "U0CAROL", "team_id": TEAM}},
        {"user": {"id": "U0DAN", "team_id": TEAM}},
        {"user": {"id": "W0BOB", "team_id": TEAM}},
    ],
    ids=["another workspace", "another approver", "somebody else", "another id"],
)
async def test_what_was_sent_to_one_account_answers_for_no_other_and_still_answers_for_it(changes):
    async with clicking() as world:
        asked = await world.asked()
        await world.press(**changes)
        assert "sent to another person" in world.whispers()[0]
        assert not world.slack.asked, "not even Slack is asked"
        assert not world.slack.updated
        assert not world.now(asked).answers
        await world.press()
        assert world.now(asked).answers[0].by == "bob"


@pytest.mark.requirement("BUTTON-06")
async def test_a_button_answers_its_own_approval_and_no_other():
    async with clicking() as world:
        first = await world.asked(6_000)
        value = world.buttons()[APPROVE]
        second = await world.asked(7_000)
        assert world.buttons()[APPROVE] != value
        # Clicked "in the message of the second": what counts is what stands behind the button.
        await world.press(value=value, container=world.payload()["container"] | {"message_ts": "17.3"})
        assert world.now(first).state == "approved"
        assert world.now(second).state == "pending"


@pytest.mark.requirement("BUTTON-05")
@pytest.mark.parametrize(
    "said",
    [
        member("bob", deleted=True),
        member("bob", is_bot=True),
        member("bob", is_restricted=True),
        member("bob", is_ultra_restricted=True),
        member("bob", is_stranger=True),
        member("bob", is_workflow_bot=True),
        member("bob", is_connector_bot=True),
        member("bob", is_invited_user=True),
        member("bob", team_id="T0OTHER"),
        member("bob", team_id=None),
        member("bob", deleted=None),
        member("bob", is_bot=None),
        member("bob", is_restricted="no"),
        member("bob", is_bot=0),
        Said(body={"ok": False, "error": "user_not_found"}),
    ],
    ids=lambda said: json.dumps(said.body)[-60:],
)
async def test_whom_slack_does_not_call_a_full_member_now_answers_nothing(said):
    async with clicking() as world:
        asked = await world.asked()
        world.slack.people[user_of("bob")] = said
        why = await refused(world)
        assert "account" in why
        assert without_buttons(world)
        assert world.now(asked).state == "pending", "it still waits, at our page"


@pytest.mark.requirement("BUTTON-05")
@pytest.mark.parametrize(
    "said",
    [
        Said(status=500),
        Said(status=429),
        Said(status=302, headers={"location": "https://evil.example"}),
        Said(body={"ok": False, "error": "invalid_auth"}),
        Said(body={"ok": "true", "user": {}}),
        Said(body={"ok": True}),
        Said(body=b"<html>"),
        Said(body=b"[" * 30_000),
        member("carol"),
    ],
    ids=str,
)
async def test_where_slack_does_not_say_who_that_is_nothing_is_recorded(said):
    async with clicking() as world:
        asked = await world.asked()
        world.slack.people[user_of("bob")] = said
        why = await refused(world, verdict="deny")
        assert "Slack does not report" in why
        assert "in the console" in why
        assert without_buttons(world)
        assert world.now(asked).state == "pending"


@pytest.mark.requirement("BUTTON-05")
async def test_with_slack_gone_the_click_is_lost_and_the_answer_still_possible():
    async with clicking() as world:
        asked = await world.asked()
        body = world.payload()
        assert isinstance(world.desk.chat, SlackClicks)
        # Nobody listens there.
        world.desk.chat = SlackClicks(world.desk.chat._post, token="xoxb", url="http://127.0.0.1:1/api")
        assert (await world.press(**body)).status_code == 200
        assert world.answers() == 0
        await world.bench.answer(asked)
        assert world.now(asked).state == "approved"


@pytest.mark.requirement("BUTTON-05")
@pytest.mark.parametrize("when", ["before", "while Slack is asked"])
@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"status": "disabled"}, "not active"),
        ({"groups": ("sales",)}, "you are in none of these groups"),
        ({"slack": None}, "another account"),
        ({"slack": {"team": "T0OTHER", "user": "U0BOB"}}, "another account"),
        ({"slack": {"team": TEAM, "user": "U0CAROL"}}, "another account"),
    ],
    ids=["disabled", "not in the group", "no account", "another workspace", "carol's account"],
)
async def test_the_registry_of_the_click_counts_and_not_that_of_the_message(spec, why, when):
    async with clicking() as world:
        asked = await world.asked()
        changed = person_document("bob", **spec)
        if when == "before":
            await world.register(changed)
        else:
            world.desk.chat = Between(world.desk.chat, lambda: world.register(changed))
        assert why in await refused(world)
        assert world.now(asked).state == "pending"


@pytest.mark.requirement("BUTTON-05")
@pytest.mark.parametrize("verdict", ["approve", "deny"])
@pytest.mark.parametrize("when", ["before", "while Slack is asked"])
async def test_who_is_held_clicks_nothing(verdict, when):
    async with clicking() as world:
        await world.asked()

        async def hold():
            await stop(world.bench, HoldTarget("owner", "bob"))

        if when == "before":
            await hold()
        else:
            world.desk.chat = Between(world.desk.chat, hold)
        await refused(world, verdict=verdict)


@pytest.mark.requirement("BUTTON-05")
async def test_nobody_says_yes_to_what_stands_still():
    async with clicking() as world:
        asked = await world.asked()
        await stop(world.bench, HoldTarget("agent", "scout"))
        await world.press()
        assert world.answers() == 0
        assert world.now(asked).state != "approved"


@pytest.mark.requirement("BUTTON-05")
async def test_who_gave_the_task_or_owns_the_agent_has_no_button_and_could_not_use_one():
    people = {"alice": person_document("alice")}
    async with clicking(documents=click_documents(people=people)) as world:
        asked = await world.asked()
        assert "U0ALICE" not in {one["channel"] for one in world.slack.posted}
        world.slack.people["U0ALICE"] = member("alice")
        account = ChatAccount(team=TEAM, user="U0ALICE")
        nonce = world.desk.offer(offer_of(asked, person="alice", account=account), SeededEntropy("x"), START)
        why = await refused(world, "alice", value=to_base64url(nonce))
        assert "another person must approve it" in why
