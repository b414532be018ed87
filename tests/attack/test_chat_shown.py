"""Wherever people read who answered, a click in a chat is called one, and not a signature."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.apps.cli.told_approval import said
from answerable.apps.console import ConsoleServices, console_app
from answerable.apps.control_api.approval_operations import approval_record
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.testing.builders import POLICIES
from answerable.testing.registers import fresh
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey
from tests.probes.console_client import Client
from tests.worlds.canary import canary_on
from tests.worlds.click import CLICKS, click_documents, clicking
from tests.worlds.parts import NO_SEARCHES
from tests.worlds.passkey import enrolled
from tests.worlds.stories import told_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BUTTON-07")]


class Calling:
    """What an operation of the control API reads of a call."""

    def __init__(self, walk) -> None:
        self.walk = walk
        self.query: dict[str, str] = {}


@pytest.mark.parametrize("by_click", [True, False])
async def test_console_terminal_and_api_call_a_click_a_click(by_click):
    async with clicking() as world:
        walk = world.bench.walk
        walk.asking.passkeys = PasskeyState(
            register=fresh(SqlitePasskeyRegister), rp_id=RP_ID, origins=(ORIGIN,)
        )
        await enrolled(world.bench, "carol", device := SoftPasskey(seed="carol"))
        asked = await world.asked()
        if by_click:
            await world.press()
        else:
            await world.bench.answer(asked)
        carol = Client(console_app(ConsoleServices(walk=walk, origin=ORIGIN, searches=NO_SEARCHES)))
        assert (await carol.sign_in(device)).status_code == 200
        page = await carol.page(f"/approvals/{asked.id}")
        told = approval_record(Calling(walk), world.now(asked))
    (answer,) = told.answers
    assert answer.signed is not by_click
    assert ("said yes by a click in a chat, not signed" in page.text) is by_click
    assert ("by a click in a chat, not signed," in said(answer)) is by_click
    assert "said yes" in page.text


@pytest.mark.parametrize("by_click", [True, False])
async def test_the_timeline_and_the_live_page_call_a_click_a_click(by_click):
    async with clicking() as world:
        asked = await world.asked()
        if by_click:
            await world.press()
        else:
            await world.bench.answer(asked)
        assert (await world.bench.refund(6_000)).outcome is not None
        with told_of(world.bench.recorder) as told_by:
            lines = told_by("kind:approval_answer").lines
    told = [" ".join((one.text, *one.details)) for one in lines if "approved approval" in one.text]
    assert len(told) == 1
    assert ("attributed, not signed" in told[0]) is by_click
    assert ("signed over action digest" in told[0]) is not by_click


@pytest.mark.parametrize("verdict", ["approve", "deny"])
async def test_a_test_that_was_answered_by_a_click_is_told_as_that(verdict):
    limits = replace(CLICKS, canaries_per_day=100, canaries_pending_max=10)
    policies = POLICIES.replace("approvers:2", "approvers:1")
    async with clicking(limits=limits, documents=click_documents(policies=policies)) as world:
        await world.bench.answer(await world.asked(), verdict="deny")
        canary = await canary_on(world.bench)
        await world.reach.tell("slack")
        await world.press(verdict=verdict)
        assert world.now(canary).state == "void"
        with told_of(world.bench.recorder) as told_by:
            lines = told_by("kind:canary_told").lines
    (told,) = [" ".join((one.text, *one.details)) for one in lines if "was a test" in one.text]
    assert "attributed, not signed" in told
