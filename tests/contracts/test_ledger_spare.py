"""The spare segment is made in a thread of its own: what happens when that thread looks at the wrong moment."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.tlog_files.directory import SPARE, WAL
from answerable.adapters.tlog_files.segments import Segments, Stretch
from answerable.adapters.tlog_files.settings import FIRST_SEGMENT_BYTES
from answerable.errors import Unavailable
from answerable.testing.contracts.ledger import log_key, refusal_entry
from answerable.verify.ledger_history import verify_ledger
from tests.probes.waiting import until
from tests.worlds.ledger_files import SMALL, small_log


@pytest.mark.requirement("LEDGER-05")
@pytest.mark.parametrize("moment", ["before the spare is renamed", "between two looks at it"])
def test_a_spare_that_is_being_taken_is_no_spare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    written, stat = Segments.written, Path.stat
    woken: list[Stretch] = []

    def slowly(segments: Segments, stretch: Stretch, content: bytes) -> float:
        if stretch.renewed and not woken:
            # The keeper may be woken at any time: it has not looked yet at what it was woken for before.
            woken.append(stretch)
            segments._wake.set()
            time.sleep(0.02)
        return written(segments, stretch, content)

    def slow_stat(path: Path, **named: bool) -> object:
        if path.name == "spare":
            time.sleep(0.05)
        return stat(path, **named)

    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            await until((tmp_path / "log" / WAL / SPARE).exists)
            monkeypatch.setattr(Segments, "written", slowly)
            if moment == "between two looks at it":
                monkeypatch.setattr(Path, "stat", slow_stat)
            for number in range(200):
                await ledger.append(refusal_entry(number, b"x" * 1_500))

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert (report.errors, report.size) == (0, 201)
    assert SMALL.segment_bytes * 4 < 200 * 1_500


@pytest.mark.requirement("LEDGER-05")
def test_the_first_entry_after_an_opening_waits_for_the_spare_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a word from the keeper it waits until its time is over: nothing else is written that would wake it."""
    spare, may_make = Segments._spare, threading.Event()
    settings = replace(SMALL, segment_bytes=16_384, append_wait_seconds_max=600)

    def held_up(segments: Segments, size: int) -> int:
        if threading.current_thread() is not threading.main_thread():
            may_make.wait()
        return spare(segments, size)

    async def filled() -> None:
        async with small_log(tmp_path / "log", replace(settings, append_wait_seconds_max=0.05)) as ledger:
            with suppress(Unavailable):
                for number in range(100):
                    await ledger.append(refusal_entry(number, b"x" * 700))
            assert 0 < ledger.size < 100, "the segment is full"
            may_make.set()
        may_make.clear()

    async def goes_on() -> int:
        async with small_log(tmp_path / "log", settings) as ledger:
            first = asyncio.create_task(ledger.append(refusal_entry(1, b"x" * 700)))
            await until(lambda: bool(ledger._commit._room_waiters))
            may_make.set()
            async with asyncio.timeout(60):
                return (await first).index

    monkeypatch.setattr(Segments, "_spare", held_up)
    asyncio.run(filled())
    assert asyncio.run(goes_on()) > 0


@pytest.mark.requirement("LEDGER-23")
def test_segments_grow_with_the_log_and_one_is_made_for_a_larger_entry(tmp_path: Path) -> None:
    settings = replace(
        SMALL, segment_bytes=64 * FIRST_SEGMENT_BYTES, queue_bytes_max=64 * FIRST_SEGMENT_BYTES
    )
    wal = tmp_path / "log" / WAL

    def sizes() -> list[int]:
        return [one.stat().st_size for one in sorted(wal.iterdir())]

    async def run() -> None:
        async with small_log(tmp_path / "log", settings) as ledger:
            await ledger.append(refusal_entry(0, b"x" * 700))
            await until(lambda: sizes() == [FIRST_SEGMENT_BYTES] * 2)
            for number in range(1, 4):
                await ledger.append(refusal_entry(number, b"x" * (FIRST_SEGMENT_BYTES * 9 // 10)))
            await ledger.append(refusal_entry(4, b"x" * (9 * FIRST_SEGMENT_BYTES)))
            assert ledger.size == 6

    asyncio.run(run())
    found = [one // FIRST_SEGMENT_BYTES for one in sizes()]
    assert found[:3] == [1, 1, 2]
    assert found[-2] >= 9, "made for the large entry"
    assert verify_ledger(tmp_path / "log", key=log_key()[0]).errors == 0
