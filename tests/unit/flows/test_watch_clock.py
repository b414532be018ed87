"""What is told of a wall clock that is set back."""

from __future__ import annotations

import logging

import anyio
import pytest

from answerable.flows.watch_clock import newest_entry, watch_clock
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock

pytestmark = pytest.mark.anyio


async def told(bench: Bench, jumps: list[float], caplog: pytest.LogCaptureFixture) -> list[str]:
    """By looks, each after time has passed and the clock was set by so much."""
    left = iter(jumps)
    with anyio.CancelScope() as watching, caplog.at_level(logging.WARNING, "answerable.flows.watch_clock"):

        async def sleep(seconds: float) -> None:
            bench.clock.advance(seconds)
            jump = next(left, None)
            if jump is None:
                watching.cancel()
                await anyio.lowlevel.checkpoint()
            else:
                bench.clock.jump(jump)

        await watch_clock(bench.walk, sleep=sleep)
    return [record.getMessage() for record in caplog.records]


async def test_each_time_that_the_clock_is_set_back_is_told_once_with_what_to_do(caplog):
    found = await told(await Bench().registered(), [0, -90, 0, 0, -3600, 0], caplog)
    assert [text.partition(":")[0] for text in found] == [
        "the clock was set back by 90 s",
        "the clock was set back by 3600 s",
    ]
    assert all("set it right" in text for text in found)


async def test_what_a_time_server_corrects_and_a_clock_that_is_set_ahead_are_no_news(caplog):
    assert await told(await Bench().registered(), [0, -1.5, 0.5, 3600, 0, -1, 0], caplog) == []


async def test_an_empty_ledger_has_no_newest_entry():
    assert newest_entry(Bench().walk) == 0


async def test_a_clock_behind_the_newest_entry_of_the_ledger_is_told_at_the_start(caplog):
    bench = await Bench(clock=ManualClock()).registered()
    bench.clock.jump(-7_200)
    (text,) = await told(bench, [0, 0], caplog)
    assert text.startswith("the clock is 7200 s behind the newest entry of the ledger: ")
