"""Wherever people read who answered, a click in a chat is called one, and not a signature."""

from __future__ import annotations

import pytest

from answerable.adapters.memory.passkeys import MemoryPasskeyRegister
from answerable.apps.cli.approvals import _said
from answerable.apps.console import Needs, console_app
from answerable.apps.control_api.approval_operations import approval_record
from answerable.flows.passkey_desk import PasskeyDesk
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey
from tests.click_world import clicking
from tests.console_client import Client
from tests.passkey_world import enrolled

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BUTTON-07")]


class Calling:
    """What an operation of the control API reads of a call."""

    def __init__(self, walk) -> None:
        self.walk = walk


@pytest.mark.parametrize("by_click", [True, False])
async def test_console_terminal_and_api_call_a_click_a_click(by_click):
    async with clicking() as world:
        walk = world.bench.walk
        walk.passkeys = PasskeyDesk(register=MemoryPasskeyRegister(), rp_id=RP_ID, origins=(ORIGIN,))
        await enrolled(world.bench, "carol", device := SoftPasskey(seed="carol"))
        asked = await world.asked()
        if by_click:
            await world.press()
        else:
            await world.bench.answer(asked)
        carol = Client(console_app(Needs(walk=walk, origin=ORIGIN)))
        assert (await carol.sign_in(device)).status_code == 200
        page = await carol.page(f"/approvals/{asked.id}")
        told = approval_record(Calling(walk), world.now(asked))
    (answer,) = told["answers"]
    assert answer["signed"] is not by_click
    assert ("said yes by a click in a chat, not signed" in page.text) is by_click
    assert ("by a click in a chat, not signed," in _said(answer)) is by_click
    assert "said yes" in page.text
