"""The spare segment is made in a thread of its own: what happens when that thread looks at the wrong moment."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from answerable.adapters.tlog_files.directory import SPARE, WAL
from answerable.adapters.tlog_files.segments import Segments, Stretch
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
