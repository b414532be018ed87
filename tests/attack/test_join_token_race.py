"""One join token, many processes that all have it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from answerable.core.ledger.tags import Tag
from tests.worlds.up import SETTINGS, WAIT_SECONDS_MAX, House, environment, house, registry

pytestmark = [pytest.mark.anyio]
RACING = Path(__file__).with_name("racing_enrolments.py")
RACERS = 64


async def race(home: House, gateway: str, token: Path) -> list[str]:
    """What each of the processes was told."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(RACING), gateway, str(token), str(RACERS)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({one["pid"] for one in told}) == RACERS, done.stderr
    return [one["told"] for one in told]


@pytest.mark.requirement("ATTEST-04", "ENROL-03")
async def test_of_64_processes_with_one_join_token_exactly_one_is_enrolled(tmp_path):
    async with house(tmp_path, SETTINGS) as home:
        await home.start()
        await asyncio.to_thread(home.apply, registry(helper=[["join_token:name:first"]]))
        for number, place in enumerate(("tcp", "unix")):
            token = tmp_path / f"token-{number}"
            made = ("agent", "join-token", "helper", "--label", "first", "--out", str(token))
            await asyncio.to_thread(home.command, *made)
            gateway = home.tcp if place == "tcp" else f"unix:{home.data / 'gateway.sock'}"
            told = Counter(await race(home, gateway, token))
            (winner,) = [one for one in told if one.startswith("spiffe://")]
            assert told == {winner: 1, "join_token.refused": RACERS - 1}
        await home.stop(signal.SIGTERM)
        # What the ledger knows is what was told: no loser was enrolled in passing.
        assert len(home.entries(Tag.WORKLOAD_ENROLLED)) == 2
