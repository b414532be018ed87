"""One entry is read from its own place: what stands before it is passed once, and its tile is proved once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.tlog_files import TlogFilesLedger, places
from answerable.adapters.tlog_files.reading import passed_frames
from answerable.adapters.tlog_files.tiles import TileFiles
from answerable.errors import Broken
from tests.worlds.ledger_files import grown, small_log

pytestmark = pytest.mark.requirement("READBACK-05")
ENTRIES = 1_500


def on_a_log(path: Path, looked: Callable[[TlogFilesLedger], Any]) -> Any:
    """Several segments, sealed, and opened anew, so that nothing of it was passed yet."""

    async def run(step: Callable[[TlogFilesLedger], Coroutine[Any, Any, None]] | None) -> Any:
        async with small_log(path) as ledger:
            return await step(ledger) if step is not None else looked(ledger)

    async def write(ledger: TlogFilesLedger) -> None:
        await grown(ledger, ENTRIES)
        ledger.seal()

    asyncio.run(run(write))
    return asyncio.run(run(None))


def test_every_entry_is_the_one_that_a_replay_shows_in_whatever_order_and_from_many_threads(tmp_path):
    def looked(ledger: TlogFilesLedger) -> None:
        stored = [*ledger.replay()]
        order = [*range(ledger.size)]
        random.Random(3).shuffle(order)
        with ThreadPoolExecutor(8) as readers:
            found = [*readers.map(ledger.entry, order)]
        assert found == [stored[index] for index in order]
        assert [ledger.entry(index) for index in range(ledger.size)] == stored

    on_a_log(tmp_path / "log", looked)
    assert len([*(tmp_path / "log" / "wal").iterdir()]) > 3


def test_what_was_passed_and_proved_before_is_neither_again(tmp_path, monkeypatch):
    passed: list[int] = []
    read: list[object] = []
    passing, reading = passed_frames, TileFiles.read

    def counted(path: Path, start: int, count: int) -> Any:
        passed.append(max(count, 0))
        return passing(path, start, count)

    def noted(tiles: TileFiles, name: Any) -> bytes:
        read.append(name)
        return reading(tiles, name)

    def looked(ledger: TlogFilesLedger) -> None:
        monkeypatch.setattr(places, "passed_frames", counted)
        monkeypatch.setattr(TileFiles, "read", noted)
        for index in range(ledger.size):
            ledger.entry(index)
        assert sum(passed) <= ledger.size
        passed.clear()
        read.clear()
        for index in (700, 3, ledger.size - 1, 700):
            ledger.entry(index)
        assert (sum(passed), read) == (0, [])

    on_a_log(tmp_path / "log", looked)


def test_an_entry_that_is_damaged_after_it_was_read_is_not_given_again(tmp_path):
    def looked(ledger: TlogFilesLedger) -> None:
        leaf = ledger.entry(700).leaf
        spoilt = leaf[:-2] + bytes((leaf[-2] ^ 1,)) + leaf[-1:]
        for file in (tmp_path / "log" / "wal").iterdir():
            file.write_bytes(file.read_bytes().replace(leaf, spoilt))
        with pytest.raises(Broken) as raised:
            ledger.entry(700)
        assert raised.value.code == "ledger.corrupt"
        assert ledger.entry(699).index == 699

    on_a_log(tmp_path / "log", looked)
