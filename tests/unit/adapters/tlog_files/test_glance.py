"""A quick look finds a changed byte wherever it says that it looked, and says where that ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger, TlogFilesSettings
from answerable.adapters.tlog_files.glance import Glance, glance
from answerable.adapters.tlog_files.tiles import TileFiles
from answerable.apps.cli.checked_files import ledger_finding
from answerable.core.tlog.tile import entries_path, tile_path
from answerable.errors import Broken
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key, refusal_entry

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LEDGER-25")]
SIZE = 1_000


@pytest.fixture
async def place(tmp_path: Path) -> Path:
    """A log of three full tiles and a part of one, closed."""
    directory = tmp_path / "log"
    async with opened(directory) as ledger:
        await asyncio.gather(*(ledger.append(refusal_entry(number)) for number in range(SIZE - ledger.size)))
    return directory


def opened(directory: Path) -> TlogFilesLedger:
    key, sign = log_key()
    settings = TlogFilesSettings(append_wait_seconds_max=30)
    return TlogFilesLedger.open(directory, key=key, sign=sign, clock=ManualClock(), settings=settings)


def changed(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


async def test_a_log_as_it_was_written_has_no_fault_and_the_answer_says_what_was_read(place: Path) -> None:
    assert PublishedFiles(place).glance() == Glance(size=SIZE, hashes_from=0, entries_from=SIZE - 256)
    found = ledger_finding(place)
    assert found is not None
    assert found.state == "ok"
    assert (
        f"entries {SIZE - 256} to {SIZE - 1} have theirs; `answerable ledger verify {place}` checks"
        in found.says
    )


async def test_nothing_is_said_of_what_does_not_exist(tmp_path: Path) -> None:
    assert ledger_finding(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("name", "at", "says"),
    [
        ("checkpoint", -3, "`checkpoint`"),
        ("checkpoint", 14, "`checkpoint`"),
        (tile_path(0, 0), 7, "tile/0/000"),
        (tile_path(0, 2), 8_191, "tile/0/002"),
        (tile_path(0, 3, SIZE - 768), 40, "`tile`"),
        (tile_path(1, 0, 3), 33, "`tile`"),
        (entries_path(3, SIZE - 768), 90, "tile/entries"),
        (entries_path(2), -5, "tile/entries"),
    ],
)
async def test_a_changed_byte_is_a_fault_with_what_to_do(place: Path, name: str, at: int, says: str) -> None:
    changed(place / name, at)
    found = ledger_finding(place)
    assert found is not None
    assert (found.state, says in found.says) == ("fault", True), found.says
    assert f"answerable ledger verify {place}" in found.advice


async def test_a_missing_tile_is_a_fault_and_an_entry_before_those_that_are_read_is_none(place: Path) -> None:
    changed(place / entries_path(0), 90)
    found = ledger_finding(place)
    assert found is not None
    assert found.state == "ok", "the answer says that it begins later"
    (place / tile_path(0, 1)).unlink()
    with pytest.raises(Broken, match="missing"):
        PublishedFiles(place).glance()


async def test_of_a_log_with_more_tiles_than_are_read_the_newest_are_and_that_is_said(place: Path) -> None:
    published = PublishedFiles(place)
    key, note = published.key(), published.checkpoint()
    assert key is not None
    assert note is not None

    def looked(tiles_max: int) -> Glance:
        return glance(key, note, TileFiles(place).read, published.leaves, tiles_max=tiles_max)

    changed(place / tile_path(0, 0), 7)
    assert looked(2).hashes_from == 256
    assert looked(0).hashes_from == 768
    with pytest.raises(Broken, match=r"tile/0/000 does not lead to the root"):
        looked(3)


async def test_a_log_that_goes_on_meanwhile_is_not_taken_for_a_damaged_one(place: Path) -> None:
    async with opened(place) as ledger:
        ended = asyncio.Event()

        async def looks() -> int:
            count = 0
            while not ended.is_set():
                assert await asyncio.to_thread(PublishedFiles(place).glance) is not None
                count += 1
            return count

        looking = asyncio.create_task(looks())
        for _ in range(40):
            await asyncio.gather(*(ledger.append(refusal_entry(number)) for number in range(64)))
            await asyncio.to_thread(ledger.seal)
        ended.set()
        assert await looking
