"""Answers by a click in Slack, from the message to the ledger, over the door and a stand-in that is strict."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from answerable.adapters.uvicorn_front import listen, serve
from answerable.core.approval.chat_click import APPROVE, DENY, DENY_BECAUSE, click_in
from answerable.core.approval.route import Route
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.flows.state.walk_limits import WalkLimits
from answerable.main.doors import console_door
from answerable.testing.builders import POLICIES
from answerable.wiring.assemble import assembled
from answerable.wiring.settings import faults, load_settings
from tests.worlds.channel import slack_stand_in
from tests.worlds.click import (
    CLICKS,
    PATH,
    SECRET,
    TEAM,
    TO_PEOPLE,
    Clicks,
    buttons_in,
    click_documents,
    clicking,
    form_of,
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
async def test_what_is_kept_as_digests_alone_is_not_put_into_a_chat():
    policies = POLICIES.replace('@approve("approvers:1")', '@approve("approvers:1") @oblige("log:digest")')
    async with clicking(documents=click_documents(policies=policies)) as world:
        asked = await world.asked()
        assert not world.buttons()
        assert b'"by_click"' not in asked.shown.bytes
        assert b"log:digest" in asked.shown.bytes


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
    (stored,) = [one for one in world.bench.recorder.ledger.replay() if one.tag == Tag.APPROVAL_ANSWER]
    leaf = json.loads(stored.leaf)
    assert (leaf["strength"], leaf["verdict"], leaf["state"]) == ("chat", "approve", "approved")
    fields = {
        one.name: bytes(one.value) for one in disclosures_of(stored, world.bench.recorder.subject_keys.find)
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
        assert "is approved, so it can no longer be answered" in world.whispers()[1]
        world.bench.clock.advance(16 * 60)
        other = await world.asked(7_000)
        world.bench.clock.advance(16 * 60)
        await world.press(value=world.buttons()[APPROVE])
        assert "has expired" in world.whispers()[2]
    assert world.answers() == 1
    assert world.now(asked).state_at(asked.created_at + 1) == "approved"
    assert not world.now(other).answers


@asynccontextmanager
async def on_a_socket(app: Any) -> AsyncIterator[str]:
    """The address of the application, served as the product serves it."""
    listeners = listen(tcp=("127.0.0.1", 0))
    assert listeners.tcp_address is not None
    up, stop = anyio.Event(), anyio.Event()

    async def run() -> None:
        await serve(app, listeners=listeners, started=lambda _: up.set(), stop=stop)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await up.wait()
            yield f"http://127.0.0.1:{listeners.tcp_address[1]}"
            stop.set()
    finally:
        listeners.close()


@pytest.mark.requirement("BUTTON-01")
async def test_a_click_comes_in_over_a_socket_and_is_acknowledged_after_it_was_recorded():
    async with clicking() as world, on_a_socket(world.app) as url:
        asked = await world.asked()
        world.base, world.transport = url, httpx2.AsyncHTTPTransport
        answer = await world.press()
        assert (answer.status_code, answer.content) == (200, b"")
        assert world.now(asked).state == "approved"
        assert world.answers() == 1


@pytest.mark.requirement("BUTTON-04")
@pytest.mark.parametrize("on", [True, False])
async def test_the_door_is_beside_the_console_and_only_where_settings_say_so(tmp_path, on, monkeypatch):
    # A busy machine may take longer than Slack waits; what is told after the answer is asserted here.
    monkeypatch.setattr("answerable.wiring.clicks.ANSWER_SECONDS_MAX", 120.0)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "slack.token").write_text("xoxb-stand-in\n")
    (data / "slack.signing").write_bytes(SECRET + b"\n")
    with slack_stand_in() as slack:
        walk = '[walk]\nsignatures = ["chat", "any", "any", "any"]\n' if on else ""
        (data / "answerable.toml").write_text(
            f'[channels]\nroutes = ["* slack"]\nslack_url = "{slack.server.url}/api/"\n'
            'slack_token = "file:slack.token"\nslack_signing_secret = "file:slack.signing"\n'
            f'[console]\norigin = "https://answerable.example"\n{walk}'
        )
        assert faults(data) == ()
        settings = load_settings(data)
        async with assembled(settings) as product:
            app = console_door(settings, product, settings.console.origin, lambda: False)
            assert (product.walk.asking.clicks is not None) is on
            async with on_a_socket(app) as url, httpx2.AsyncClient(base_url=url, timeout=120) as http:
                host = {"host": "answerable.example"}
                world = Clicks(None, slack, None, None)
                body = form_of(world.payload(value="A" * 43))
                unsigned = await http.post(PATH, content=body, headers=host)
                at = product.walk.clock.now() // 1000
                signed = world.signed(body, at=at)
                answer = await http.post(PATH, content=body, headers={**signed, **host})
                page = await http.get("/sign-in", headers=host)
        assert page.status_code == 200
        if on:
            assert (unsigned.status_code, answer.status_code) == (401, 200)
            assert "was used" in slack.whispered[0]["text"]
            assert "https://answerable.example/approvals" in slack.whispered[0]["text"]
        else:
            assert 400 <= unsigned.status_code < 500
            assert 400 <= answer.status_code < 500
            assert not slack.whispered
