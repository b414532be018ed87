"""Who is refused where people come in, at the console and at the door of the chat: found afterwards, with a who."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.ledger.tags import Tag
from answerable.flows.counters.door_desk import record_door_refusals
from answerable.testing.builders import Bench
from answerable.testing.soft_passkey import SoftPasskey
from tests.probes.console_client import Client, console_house
from tests.worlds.click import clicking, form_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WHO-05")]


async def recorded(bench: Bench) -> list[dict[str, Any]]:
    await record_door_refusals(bench.recorder, bench.authority.registry, bench.counters, closing=True)
    return bench.entries(Tag.DOOR_REFUSAL)


async def test_a_forged_and_a_repeated_click_are_on_record_by_the_door_of_the_chat():
    async with clicking() as world:
        await world.asked()
        body = form_of(world.payload())
        headers = world.headers(body)
        assert (await world.post(body + b"&", headers)).status_code == 401
        assert (await world.post(body, headers)).status_code == 200
        assert (await world.post(body, headers)).status_code == 409
        found = await recorded(world.bench)
        assert {one["door"] for one in found} == {"chat"}
        assert "chat.replayed" in {one["code"] for one in found}
        assert len(found) == 2


async def test_a_wrong_passkey_and_a_wrong_invitation_are_on_record_by_the_console():
    house = await console_house()
    assert (await Client(house.app).sign_in(SoftPasskey(seed="stranger"))).status_code == 401
    found = await recorded(house.bench)
    assert [(one["door"], one["code"].partition(".")[0]) for one in found] == [("console", "passkey")]
    # Whoever is signed in, and whoever is not and looks at a page, is none of them.
    client = await house.signed_in()
    assert (await client.page("/approvals/none")).status_code == 404
    await Client(house.app).page("/")
    assert len(await recorded(house.bench)) == 1
