"""Attacks on clicks that Slack did sign: to what, when, and after what has happened meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import anyio
import pytest

from answerable.apps.chat_door.application import chat_app
from answerable.apps.chat_door.services import ChatServices
from answerable.core.approval.chat_click import ChatAccount
from answerable.core.approval.delivery import DigestLimits
from answerable.core.base64url import to_base64url
from answerable.core.containment.hold import HoldTarget
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.state.click_desk import OFFERS_MAX, ChatAnswerState, Offered
from answerable.flows.state.reach_desk import ReachLimits
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import POLICIES
from answerable.testing.clock import START
from answerable.testing.entropy import SeededEntropy
from tests.probes.clicks_between import Between, offer_of, refused
from tests.worlds.canary import canary_on
from tests.worlds.click import CLICKS, SECRET, TEAM, buttons_in, click_documents, clicking, person_document
from tests.worlds.duty import delegate, duty_document
from tests.worlds.hold import stop

pytestmark = pytest.mark.anyio
ROOMY = ReachLimits(digest=DigestLimits(messages_max=100))


# --- to what ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("BUTTON-06")
@pytest.mark.parametrize("changed", ["action", "rendering"])
async def test_what_the_message_did_not_show_is_not_answered(changed):
    async with clicking() as world:
        asked = await world.asked()
        (digest,) = [one for one, it in world.desk._offers.items() if it.person == "bob"]
        world.desk._offers[digest] = replace(world.desk._offers[digest], **{changed: "0" * 64})
        assert "no longer the one that the message showed" in await refused(world)
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
        assert "This approval cannot be answered by a click" in await refused(world)
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
        world.bench.walk.limits = world.bench.asking.limits = limits
        assert "This approval cannot be answered by a click" in await refused(world)


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
                tasks.start_soon(partial(world.press, person, verdict, trigger_id=str(number)))
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
        assert "is denied" in world.whispers()[0]
        after = world.now(asked)
    assert ([one.by for one in after.answers], after.state) == (["carol"], "denied")


@pytest.mark.requirement("BUTTON-06")
async def test_after_a_restart_buttons_of_before_answer_nothing():
    async with clicking() as world:
        await world.asked()
        again = ChatAnswerState(chat=world.desk.chat)
        world.bench.asking.clicks = again
        world.app = chat_app(ChatServices(walk=world.bench.walk, desk=again, secret=SECRET))
        assert "before a restart" in await refused(world)


@pytest.mark.requirement("BUTTON-06")
def test_buttons_that_are_out_are_bounded_and_go_with_their_approvals():
    desk, entropy = ChatAnswerState(chat=None), SeededEntropy("many")
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

        monkeypatch.setattr(world.bench.recorder, "intents", SimpleNamespace(record=full))
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
            walk.limits = walk.asking.limits = WalkLimits(signatures=("chat", "chat", "any", "any"))
        elif what == "looks":
            walk.limits = walk.asking.limits = replace(CLICKS, look_seconds_min=(0, 0, 9, 0))
        elif what == "held":
            await stop(world.bench, HoldTarget("owner", "bob"))
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


@pytest.mark.requirement("BUTTON-09")
@pytest.mark.parametrize("asks", ["approvers:1", "approvers:2", "sales:1"])
async def test_a_yes_by_click_answers_for_no_other_group_that_policy_asks_by_now(asks):
    rule = (
        '\n@id("refund-too") @approve("{asks}") forbid (principal, action == Action::"crm.refund", resource) '
        "when {{ context.arguments.amount > 5500 }};"
    )
    people = {"bob": person_document("bob", groups=("approvers", "sales"))}
    before, after = (
        click_documents(policies=POLICIES + rule.format(asks=one), people=people)
        for one in ("approvers:1", asks)
    )
    async with clicking(documents=before) as world:
        asked = await world.asked()
        await world.press()
        assert world.now(asked).state == "approved"
        await world.register(next(one for one in after if one["kind"] == "PolicySet"))
        try:
            ran = (await world.bench.refund(6_000)).outcome is not None
        except Refused:
            ran = False
    assert ran is (asks == "approvers:1"), "one click is one answer, for the group that was asked"


@pytest.mark.requirement("BUTTON-05")
@pytest.mark.parametrize("ended", [False, True])
async def test_who_stands_in_for_somebody_clicks_in_their_place_while_that_lasts(ended):
    people = {"dan": person_document("dan", groups=("sales",))}
    documents = [*click_documents(people=people), duty_document()]
    async with clicking(documents=documents) as world:
        one = await delegate(world.bench)
        asked = await world.asked()
        assert world.buttons("dan"), "it is dan's turn now"
        if ended:
            assert world.bench.asking.duties.register.end(one.id, world.bench.clock.now())
        await world.press("dan")
        after = world.now(asked)
        if ended:
            assert "you are in none of these groups" in world.whispers()[0]
            assert not after.answers
            return
        assert (after.state, after.answers[0].by, after.answers[0].in_place_of.of) == (
            "approved",
            "dan",
            "bob",
        )
        assert (await world.bench.refund(6_000)).outcome is not None
    (leaf,) = world.bench.entries(Tag.APPROVAL_ANSWER)
    assert leaf["strength"] == "chat"
    assert leaf["duty"]
