"""Attacks on clicks that Slack did sign: by whom, to what, when, and after what has happened meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace

import anyio
import pytest

from answerable.core.approval.chat_click import APPROVE, ChatAccount
from answerable.core.approval.delivery import DigestLimits
from answerable.core.containment.hold import Holdable
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.click_desk import OFFERS_MAX, ClickDesk, Offered
from answerable.flows.reach_desk import ReachLimits
from answerable.flows.walk import WalkLimits
from answerable.testing.builders import POLICIES
from answerable.testing.clock import START
from answerable.testing.entropy import SeededEntropy
from tests.canary_world import canary_on
from tests.click_world import (
    CLICKS,
    TEAM,
    Clicks,
    buttons_in,
    click_documents,
    clicking,
    member,
    person_document,
    user_of,
)
from tests.hold_world import stop
from tests.token_server_world import Said

pytestmark = pytest.mark.anyio
ROOMY = ReachLimits(digest=DigestLimits(messages_max=100))


class Between:
    """Implements ports.chat_clicks.ChatClicks: something happens while Slack is asked."""

    def __init__(self, chat, happens) -> None:
        self._chat, self._happens = chat, happens

    async def standing(self, account):
        why = await self._chat.standing(account)
        await self._happens()
        return why

    async def withdraw(self, message, place, *, now):
        await self._chat.withdraw(message, place, now=now)

    async def whisper(self, text, account, place):
        await self._chat.whisper(text, account, place)


async def refused(world: Clicks, person: str = "bob", **changes) -> str:
    """A click that is taken and does not count; what its person alone is told, and that the button is gone."""
    answer = await world.press(person, **changes)
    assert (answer.status_code, answer.content) == (200, b"")
    assert world.answers() == 0
    assert [one["user"] for one in world.slack.whispered] == [user_of(person)]
    return world.whispers()[-1]


def without_buttons(world: Clicks) -> bool:
    """Whether the message now has the link alone."""
    return bool(world.slack.updated) and not any(buttons_in(one) for one in world.slack.updated)


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
        assert "offered to somebody else" in world.whispers()[0]
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
        assert "Slack does not say" in why
        assert "at our page" in why
        assert without_buttons(world)
        assert world.now(asked).state == "pending"


@pytest.mark.requirement("BUTTON-05")
async def test_with_slack_gone_the_click_is_lost_and_the_answer_still_possible():
    async with clicking() as world:
        asked = await world.asked()
        body = world.payload()
        world.desk.chat = type(world.desk.chat)(  # nobody listens there
            world.desk.chat._post, token="xoxb", url="http://127.0.0.1:1/api"
        )
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
            await stop(world.bench, Holdable("owner", "bob"))

        if when == "before":
            await hold()
        else:
            world.desk.chat = Between(world.desk.chat, hold)
        await refused(world, verdict=verdict)


@pytest.mark.requirement("BUTTON-05")
async def test_nobody_says_yes_to_what_stands_still():
    async with clicking() as world:
        asked = await world.asked()
        await stop(world.bench, Holdable("agent", "scout"))
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
        from answerable.core.base64url import to_base64url

        why = await refused(world, "alice", value=to_base64url(nonce))
        assert "somebody else must approve it" in why


def offer_of(asked, **changes) -> Offered:
    given = {
        "approval": asked.id,
        "action": asked.shown.hex,
        "rendering": asked.card.hex,
        "person": "bob",
        "account": ChatAccount(team=TEAM, user="U0BOB"),
        "ends": asked.expires_at,
    }
    return Offered(**(given | changes))


# --- to what ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("BUTTON-06")
@pytest.mark.parametrize("changed", ["action", "rendering"])
async def test_what_the_message_did_not_show_is_not_answered(changed):
    async with clicking() as world:
        asked = await world.asked()
        (digest,) = [one for one, it in world.desk._offers.items() if it.person == "bob"]
        world.desk._offers[digest] = replace(world.desk._offers[digest], **{changed: "0" * 64})
        assert "not what the message showed" in await refused(world)
        assert world.now(asked).state == "pending"


@pytest.mark.requirement("BUTTON-05")
async def test_a_capability_that_is_critical_by_now_takes_no_click():
    async with clicking() as world:
        asked = await world.asked()
        changed = next(
            one for one in click_documents(tier=3)
            if one["kind"] == "Capability" and one["metadata"]["name"] == "crm.refund"
        )  # fmt: skip
        await world.register(changed)
        assert "No click answers this" in await refused(world)
        assert world.now(asked).state == "pending"


@pytest.mark.requirement("BUTTON-05")
@pytest.mark.parametrize(
    "limits",
    [
        WalkLimits(),
        WalkLimits(signatures=("chat", "chat", "passkey", "any")),
        replace(CLICKS, look_seconds_min=(0, 0, 1, 0)),
    ],
    ids=["off", "passkey", "looks"],
)
async def test_settings_of_the_click_count_and_not_those_of_the_message(limits):
    async with clicking() as world:
        await world.asked()
        world.bench.walk.limits = limits
        assert "No click answers this" in await refused(world)


@pytest.mark.requirement("BUTTON-05")
async def test_a_person_says_yes_by_click_no_faster_than_otherwise():
    async with clicking(limits=replace(CLICKS, answers_per_hour_max=1)) as world:
        await world.asked(6_000)
        await world.press()
        second = await world.asked(7_000)
        await world.press()
        assert "which is the limit" in world.whispers()[-1]
        assert world.now(second).state == "pending"


@pytest.mark.requirement("BUTTON-03")
async def test_what_is_odd_among_those_alike_is_looked_at_by_itself():
    async with clicking() as world:
        world.reach.desk.limits = ROOMY
        for number in range(9):
            await world.bench.act("refund", {"case": f"47{number:02}", "amount": 6_000})
        odd = await world.asked(49_000)
        assert "4711" in json.dumps(world.told()["blocks"])
        with_buttons = [one for one in world.slack.posted if buttons_in(one)]
        assert len(with_buttons) == 18, "all but the odd one, to bob and to carol"
        # One that had its buttons before it was odd answers nothing by them either.
        nonce = world.desk.offer(offer_of(odd), SeededEntropy("x"), world.bench.clock.now())
        from answerable.core.base64url import to_base64url

        assert "differs from others" in await refused(world, value=to_base64url(nonce))


@pytest.mark.requirement("BUTTON-01")
@pytest.mark.parametrize(("verdict", "ended"), [("approve", "let_through"), ("deny", "caught")])
async def test_a_test_of_people_looks_the_same_and_is_told_after_the_click(verdict, ended):
    limits = replace(CLICKS, canaries_per_day=100, canaries_pending_max=10)
    policies = POLICIES.replace("approvers:2", "approvers:1")
    async with clicking(limits=limits, documents=click_documents(policies=policies)) as world:
        asked = await world.asked()
        real = world.told()
        await world.bench.answer(asked, verdict="deny")
        canary = await canary_on(world.bench)
        await world.reach.tell("slack")
        test = world.told()
        assert test is not real
        assert [one["type"] for one in test["blocks"]] == [one["type"] for one in real["blocks"]]
        assert buttons_in(test).keys() == buttons_in(real).keys()
        await world.press(verdict=verdict)
        await world.reach.tell("slack")
        (told,) = world.bench.entries(Tag.CANARY_TOLD)
        assert (told["ended"], told["verdict"], told["strength"]) == (ended, verdict, "chat")
        assert world.now(canary).state == "void"
        assert "test" in json.dumps(world.slack.updated[-1]["blocks"])


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("BUTTON-06")
@pytest.mark.parametrize("pair", [("bob", "bob"), ("bob", "carol")])
@pytest.mark.parametrize("verdicts", [("approve", "approve"), ("approve", "deny")])
async def test_of_two_clicks_at_once_one_answers(pair, verdicts):
    async with clicking() as world:
        asked = await world.asked()
        both, arrived = anyio.Event(), []

        async def meet():
            arrived.append(1)
            if len(arrived) == 2 or pair == ("bob", "bob"):
                both.set()
            await both.wait()

        world.desk.chat = Between(world.desk.chat, meet)
        async with anyio.create_task_group() as tasks:
            for number, (person, verdict) in enumerate(zip(pair, verdicts, strict=True)):
                tasks.start_soon(lambda p=person, v=verdict, n=number: world.press(p, v, trigger_id=str(n)))
        assert world.answers() == 1
        assert len(world.now(asked).answers) == 1
        assert len(world.slack.whispered) == 1


@pytest.mark.requirement("BUTTON-06")
async def test_a_signed_answer_that_came_meanwhile_goes_first():
    async with clicking() as world:
        asked = await world.asked()

        async def meanwhile():
            await world.bench.answer(asked, by="carol", verdict="deny")

        world.desk.chat = Between(world.desk.chat, meanwhile)
        await world.press()
        assert "It is denied" in world.whispers()[0]
        after = world.now(asked)
    assert ([one.by for one in after.answers], after.state) == (["carol"], "denied")


@pytest.mark.requirement("BUTTON-06")
async def test_after_a_restart_buttons_of_before_answer_nothing():
    async with clicking() as world:
        await world.asked()
        again = ClickDesk(chat=world.desk.chat)
        world.bench.walk.clicks = again
        from answerable.apps.chat_door.application import chat_app
        from answerable.apps.chat_door.needs import Needs
        from tests.click_world import SECRET

        world.app = chat_app(Needs(walk=world.bench.walk, desk=again, secret=SECRET))
        assert "before a restart" in await refused(world)


@pytest.mark.requirement("BUTTON-06")
def test_buttons_that_are_out_are_bounded_and_go_with_their_approvals():
    desk, entropy = ClickDesk(chat=None), SeededEntropy("many")
    made = []
    for number in range(OFFERS_MAX + 5):
        offered = Offered(
            approval=f"a-{number}",
            action="",
            rendering="",
            person="bob",
            account=ChatAccount(team=TEAM, user="U0BOB"),
            ends=START + 1_000 + number,
        )
        made.append(desk.offer(offered, entropy, START))
    assert [desk.find(one, START) for one in made[:5]] == [None] * 5
    assert desk.find(made[5], START).approval == "a-5"
    assert desk.find(made[5], START + 1_005) is None
    desk.offer(offered, entropy, START + 10**9)
    assert len(desk._offers) == 1


@pytest.mark.requirement("BUTTON-01")
async def test_what_could_not_be_recorded_is_no_answer_and_says_so(monkeypatch):
    async with clicking() as world:
        asked = await world.asked()

        async def full(*_, **__):
            raise Unavailable("the ledger is full", code="ledger.full", port="ledger")

        monkeypatch.setattr("answerable.flows.answer_approval.record_in_run", full)
        assert "The ledger is full; this click does not count" in await refused(world)
        assert world.now(asked).state == "pending"


# --- afterwards ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("BUTTON-09")
@pytest.mark.parametrize(
    "what",
    ["nothing", "settings", "looks", "another account", "no account", "disabled", "held", "left the group"],
)
async def test_a_yes_by_click_that_would_not_be_taken_any_more_lets_nothing_run(what):
    async with clicking() as world:
        asked = await world.asked()
        await world.press()
        assert world.now(asked).state == "approved"
        walk = world.bench.walk
        if what == "settings":
            walk.limits = WalkLimits(signatures=("chat", "chat", "any", "any"))
        elif what == "looks":
            walk.limits = replace(CLICKS, look_seconds_min=(0, 0, 9, 0))
        elif what == "held":
            await stop(world.bench, Holdable("owner", "bob"))
        elif what != "nothing":
            spec = {
                "another account": {"slack": {"team": TEAM, "user": "U0NEW"}},
                "no account": {"slack": None},
                "disabled": {"status": "disabled"},
                "left the group": {"groups": ("sales",)},
            }[what]
            await world.register(person_document("bob", **spec))
        try:
            ran = (await world.bench.refund(6_000)).outcome is not None
        except Refused:
            ran = False
    assert ran is (what == "nothing")
    assert bool(world.bench.upstream.effects) is (what == "nothing")
