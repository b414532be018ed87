"""`doctor` tells a damaged ledger, and ends as for every other fault."""

from __future__ import annotations

import json

import anyio
import pytest

from tests.unit.apps.cli.test_commands import Command, command, product, world
from tests.worlds.control import World
from tests.worlds.ledger_files import grown, small_log

__all__ = ("command", "product", "world")


@pytest.mark.requirement("LEDGER-25")
def test_a_changed_byte_in_a_tile_is_a_fault_that_doctor_tells_with_the_command_for_the_rest(
    command: Command, world: World
) -> None:
    async def write() -> None:
        async with small_log(world.data / "ledger") as ledger:
            await grown(ledger, 300)

    def told(code: int) -> dict[str, str]:
        found = json.loads(command("doctor", "--json", code=code).stdout)
        return next(one for one in found if one["name"] == "ledger files")

    anyio.run(write)
    verify = f"answerable ledger verify {world.data / 'ledger'}"
    fine = told(0)
    assert fine["state"] == "ok"
    assert verify in fine["says"]
    with (world.data / "ledger" / "tile" / "0" / "000").open("r+b") as tile:
        tile.seek(100)
        tile.write(b"\0\1\2\3")
    assert told(5)["state"] == "fault"
    assert verify in told(5)["advice"]
