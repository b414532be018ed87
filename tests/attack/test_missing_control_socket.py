"""Somebody removed the control socket of a server that runs: who ends authority is told what still works."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.core.ledger.tags import Tag
from tests.worlds.up import house, until

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("STOP-06")
async def test_a_command_that_finds_no_socket_of_a_server_names_the_one_that_needs_none(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as place:
        await place.start()
        (place.data / "control.sock").unlink()
        told = place.command("stop", "everything", "--no-wait", code=1)
        assert "no server is running" not in told
        assert "is open in another process" in told
        assert "no server answers at the control socket" in told
        assert "`answerable panic` holds everything" in told
        assert "Traceback" not in told
        place.command("panic")
        await until(lambda: place.entries(Tag.HOLD_PLACED), "the press to be recorded by that server")
