"""Where entries begin is remembered in files of which each may be damaged, stale or gone at any time."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import FollowedFiles, offsets, places, replaying
from answerable.core.ledger.entry import StoredEntry
from answerable.core.search.blind import BlindKey
from answerable.errors import Broken
from tests.worlds.ledger_files import grown, large, small_log

pytestmark = pytest.mark.requirement("SEARCH-13")
ENTRIES = 900


@dataclass(frozen=True)
class Written:
    """A log of several segments, and what it has."""

    log: Path
    entries: list[StoredEntry]

    def followed(self, remembered: Path) -> FollowedFiles:
        found = FollowedFiles(self.log, remembered)
        found.reach(len(self.entries))
        return found

    def is_right(self, followed: FollowedFiles) -> bool:
        order = [*range(len(self.entries))]
        random.Random(5).shuffle(order)
        return all(followed.entry(one) == self.entries[one] for one in order)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    log = tmp_path_factory.mktemp("written") / "log"

    async def run() -> list[StoredEntry]:
        async with small_log(log) as ledger:
            await grown(ledger, ENTRIES)
            for number in range(30):
                await ledger.append(large(number))
            return [*ledger.replay()]

    return Written(log, asyncio.run(run()))


@pytest.fixture
def remembered(written: Written, tmp_path: Path) -> Path:
    followed = written.followed(tmp_path / "offsets")
    assert [*followed.replay()] == written.entries
    followed.close()
    return tmp_path / "offsets"


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many entries were looked for by passing those before them."""
    found: list[int] = []
    looked = places.offset_of

    def counted(place: places.Place, index: int) -> int:
        found.append(index)
        return looked(place, index)

    monkeypatch.setattr(replaying, "offset_of", counted)
    return found


def test_eight_bytes_an_entry_are_remembered_and_nothing_is_passed(
    written: Written, remembered: Path, walked: list[int]
) -> None:
    files = sorted(remembered.iterdir())
    assert len(files) == len([*(written.log / "wal").glob("*.wal")]) > 3
    assert sum(one.stat().st_size for one in files) == 8 * len(written.entries)
    assert written.is_right(written.followed(remembered))
    assert walked == []


def test_more_segments_than_files_are_open_at_a_time(
    written: Written, remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets, "OPEN_MAX", 2)
    followed = written.followed(remembered)
    assert written.is_right(followed)
    before = len([*Path("/dev/fd").iterdir()])
    followed.close()
    followed.close()
    assert len([*Path("/dev/fd").iterdir()]) == before - 2 * 2


@pytest.mark.parametrize("fault", ["gone", "emptied", "cut", "noise", "shifted", "longer", "of another log"])
def test_what_is_remembered_wrongly_is_made_again(
    written: Written, remembered: Path, walked: list[int], fault: str
) -> None:
    for path in remembered.iterdir():
        content = path.read_bytes()
        match fault:
            case "gone":
                path.unlink()
            case "emptied":
                path.write_bytes(b"")
            case "cut":
                path.write_bytes(content[: len(content) // 2 - 3])
            case "noise":
                path.write_bytes(random.Random(1).randbytes(len(content)))
            case "shifted":
                path.write_bytes(content[8:])
            case "longer":
                path.write_bytes(content + content[:16])
            case _:
                path.write_bytes(b"".join(content[at : at + 4] + b"same" for at in range(0, len(content), 8)))
    followed = written.followed(remembered)
    assert written.is_right(followed)
    assert walked == []
    followed.close()
    size = sum(one.stat().st_size for one in remembered.iterdir())
    assert (size == 8 * len(written.entries)) == (fault != "longer")


def test_with_a_key_nobody_else_can_have_another_entry_shown(written: Written, tmp_path: Path) -> None:
    """Whoever writes the files knows where entries begin and what is in them."""
    remembered, forged = tmp_path / "keyed", tmp_path / "forged"
    for place, check in ((remembered, BlindKey(bytes(32)).place_check), (forged, None)):
        followed = FollowedFiles(written.log, place, check)
        followed.reach(len(written.entries))
        assert [*followed.replay()] == written.entries
        followed.close()
    for path in remembered.iterdir():
        known, plain = path.read_bytes(), (forged / path.name).read_bytes()
        assert known != plain
        path.write_bytes(plain[:8] + known[:8] + known[16:])
    keyed = FollowedFiles(written.log, remembered, BlindKey(bytes(32)).place_check)
    keyed.reach(len(written.entries))
    assert written.is_right(keyed)
    keyed.close()


def test_where_nothing_can_be_remembered_entries_are_found_by_passing_those_before(
    written: Written, tmp_path: Path, walked: list[int]
) -> None:
    (tmp_path / "offsets").write_text("a file in the place of the directory")
    followed = written.followed(tmp_path / "offsets")
    assert [*followed.replay()] == written.entries
    assert written.is_right(followed)
    assert len(walked) >= len(written.entries)


def test_a_damaged_entry_is_an_error_and_not_another_entry(
    written: Written, remembered: Path, tmp_path: Path
) -> None:
    shutil.copytree(written.log, tmp_path / "log")
    segment = min((tmp_path / "log" / "wal").glob("*.wal"))
    content = bytearray(segment.read_bytes())
    content[4_000] ^= 1
    segment.write_bytes(content)
    followed = FollowedFiles(tmp_path / "log", remembered)
    followed.reach(len(written.entries))
    found = []
    for stored in written.entries:
        with suppress(Broken):
            found.append(followed.entry(stored.index) == stored)
    assert all(found)
    assert 0 < len(found) < len(written.entries)


def test_a_log_that_grows_is_remembered_further(tmp_path: Path, walked: list[int]) -> None:
    async def followed() -> None:
        async with small_log(tmp_path / "log") as ledger:
            beside = FollowedFiles(tmp_path / "log", tmp_path / "offsets")
            for size in (3, 700, 1_400):
                await grown(ledger, size)
                before = beside.size
                beside.reach(size)
                whole = [*ledger.replay()]
                assert [*beside.replay(before)] == whole[before:]
                walked.clear()
                assert [beside.entry(one) for one in range(size)] == whole
                assert walked == []

    asyncio.run(followed())
