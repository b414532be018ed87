"""What clicks come to where something of ours fails, or another rule than the first should have said no."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from answerable.adapters.slack.buttons import whole_blocks
from answerable.core.approval.approval import Answer
from answerable.core.approval.chat_click import CLICK_TYP, ChatAccount, Offer
from answerable.core.approval.delivery import Delivery
from answerable.core.approval.message import asked_message
from answerable.errors import Broken, Unavailable
from answerable.flows.approval.answer_by_click import Click, take_click
from answerable.flows.approval.offer_click import with_buttons
from answerable.flows.validity.chat_answer_validity import click_stands
from answerable.testing.clock import START
from tests.probes.clicks_between import offer_of
from tests.worlds.click import CLICKS, TEAM, click_documents, clicking

pytestmark = pytest.mark.anyio
GONE = Unavailable("the register is gone", code="register.unavailable", port="approval_register")


def click_of(nonce: bytes, **changes) -> Click:
    given = {
        "account": ChatAccount(team=TEAM, user="U0BOB"),
        "nonce": nonce,
        "verdict": "approve",
        "reason": "",
        "place": "D0:1.1",
        "request": "0" * 64,
        "sent_s": 1,
    }
    return Click(**(given | changes))


@pytest.mark.requirement("BUTTON-03")
async def test_what_a_click_may_answer_says_so_in_what_is_hashed_and_nothing_else_has_the_member():
    shown = []
    for limits in (CLICKS, replace(CLICKS, signatures=("any",) * 4)):
        async with clicking(limits=limits) as world:
            shown.append((await world.asked()).shown.bytes)
    assert [b'"by_click":true' in one for one in shown] == [True, False]
    assert b"by_click" not in shown[1]


async def test_a_register_that_is_gone_means_no_buttons_and_no_answer(monkeypatch):
    async with clicking() as world:
        walk, asked = world.bench.walk, await world.asked()
        nonce = world.desk.offer(offer_of(asked), walk.entropy, walk.clock.now())
        message = asked_message(asked, link="", now=START)
        delivery = Delivery(about=asked.id, channel="slack", to="person:bob", made_at=START)
        assert with_buttons(walk.authority, walk.asking, walk.entropy, message, delivery).offer is not None
        for other in (replace(delivery, channel="email"), replace(delivery, to="requester:bob")):
            assert with_buttons(walk.authority, walk.asking, walk.entropy, message, other) == message

        def gone(*_, **__):
            raise GONE

        monkeypatch.setattr(walk.authority.approvals, "find", gone)
        assert with_buttons(walk.authority, walk.asking, walk.entropy, message, delivery) == message
        clicked = await take_click(walk.recorder, walk.authority, walk.asking, walk.counters, click_of(nonce))
        assert clicked.approval is None
        assert clicked.instead is None
        assert "the register is gone; this click does not count" in clicked.why


async def test_what_may_have_been_recorded_is_not_said_to_be_lost(monkeypatch):
    async with clicking() as world:
        walk, asked = world.bench.walk, await world.asked()
        nonce = world.desk.offer(offer_of(asked), walk.entropy, walk.clock.now())

        async def unknown(*_, **__):
            raise Unavailable("no answer", code="ledger.slow", port="ledger", effect="unknown")

        monkeypatch.setattr(walk.recorder, "intents", SimpleNamespace(record=unknown))
        clicked = await take_click(walk.recorder, walk.authority, walk.asking, walk.counters, click_of(nonce))
        assert "check in the console whether it counts" in clicked.why


async def test_where_an_invariant_fell_it_is_said_and_not_covered_up(monkeypatch):
    async with clicking() as world:
        walk, asked = world.bench.walk, await world.asked()
        nonce = world.desk.offer(offer_of(asked), walk.entropy, walk.clock.now())

        async def broken(*_, **__):
            raise Broken("the log is not what it was", code="ledger.broken")

        monkeypatch.setattr(walk.recorder, "intents", SimpleNamespace(record=broken))
        with pytest.raises(Broken):
            await take_click(walk.recorder, walk.authority, walk.asking, walk.counters, click_of(nonce))


async def test_a_critical_action_takes_no_click_even_where_the_first_rule_forgot_to_say_no(monkeypatch):
    limits = replace(CLICKS, signatures=("chat",) * 4)
    async with clicking(limits=limits, documents=click_documents(tier=3)) as world:
        walk, asked = world.bench.walk, await world.asked()
        nonce = world.desk.offer(offer_of(asked), walk.entropy, walk.clock.now())
        monkeypatch.setattr("answerable.flows.approval.answer_by_click.why_no_click", lambda *_: "")
        clicked = await take_click(walk.recorder, walk.authority, walk.asking, walk.counters, click_of(nonce))
        assert "needs a signed answer" in clicked.why
        assert world.answers() == 0


async def test_a_kept_click_that_cannot_be_read_counts_for_nothing():
    async with clicking() as world:
        asked = await world.asked()
        answer = Answer(
            by="bob", groups=("approvers",), verdict="approve", comment="", at=START,
            token=f'{{"typ":"{CLICK_TYP}"}}',
        )  # fmt: skip
        assert not click_stands(world.bench.authority, world.bench.walk.limits, asked, answer)


async def test_many_lines_are_packed_into_blocks_that_slack_takes():
    async with clicking() as world:
        message = asked_message(await world.asked(), link="", now=START)
    offer = Offer(nonce="n", lines=tuple((f"l{number}", "&" * 200) for number in range(7)))
    blocks = whole_blocks(message, offer)
    assert len(blocks) > 1
    assert all(len(one["text"]["text"]) <= 3_000 for one in blocks)
    assert "".join(str(one["text"]["text"]) for one in blocks).count("&amp;") == 1_400


async def test_a_door_that_cannot_tell_what_came_of_it_has_recorded_it_all_the_same(monkeypatch, caplog):
    async with clicking() as world:
        asked = await world.asked()

        async def failing(*_):
            raise RuntimeError("secret-right")

        monkeypatch.setattr("answerable.apps.chat_door.application.tell_clicked", failing)
        assert (await world.press()).status_code == 200
        assert world.now(asked).state == "approved"
    assert "could not be told: RuntimeError" in caplog.text
    assert "secret-right" not in caplog.text


async def test_a_log_that_is_broken_is_said_at_the_door(monkeypatch, caplog):
    async with clicking() as world:
        await world.asked()

        async def broken(*_):
            raise Broken("the log is not what it was", code="ledger.broken")

        monkeypatch.setattr("answerable.apps.chat_door.application.take_click", broken)
        assert (await world.press()).status_code == 500
    assert "ledger.broken" in caplog.text
