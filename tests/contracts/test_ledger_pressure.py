"""A log under pressure: callers that come one after another, disks that change, sealers that do not keep up."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings, directory
from answerable.adapters.tlog_files.group_commit import GATHER_TURNS_MAX
from answerable.adapters.tlog_files.segments import Segments
from answerable.adapters.tlog_files.tiles import TileFiles
from answerable.errors import Malformed, Unavailable
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key, owed_entry, refusal_entry
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.ledger_files import SMALL, checkpoint_of, grown, large, small_log

INLINE = replace(SMALL, commit="inline", segment_bytes=262_144)
BOUNDED = replace(INLINE, unsealed_bytes_max=100_000, seal_unsealed_bytes=40_000, reserve_bytes=10_000)


async def turns_later(ledger: TlogFilesLedger, turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    await ledger.append(refusal_entry(turns))


async def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: list[int]) -> list[int]:
    """Sizes of the batches that entries which come so many turns of the loop later are written in."""
    async with small_log(tmp_path / "log", INLINE) as ledger:
        await asyncio.sleep(0.05)
        sizes, written = [], Segments.written

        def counted(segments: Segments, stretch, content: bytes) -> float:
            sizes.append(content.count(b"\xf5ENT"))
            return written(segments, stretch, content)

        with monkeypatch.context() as patch:
            patch.setattr(Segments, "written", counted)
            await asyncio.gather(*(turns_later(ledger, one) for one in turns))
        return sizes


@pytest.mark.requirement("LEDGER-20")
def test_entries_that_come_one_turn_after_another_share_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asyncio.run(batches(tmp_path, monkeypatch, [0, 1, 2, 3, 4, 5])) == [6]


@pytest.mark.requirement("LEDGER-20")
def test_a_turn_that_brings_no_news_closes_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(batches(tmp_path, monkeypatch, [0, 0, 1, 5, 6, 6, 6])) == [3, 4]


@pytest.mark.requirement("LEDGER-20")
def test_one_caller_alone_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = asyncio.run(batches(tmp_path, monkeypatch, [0, 9, 18, 19]))
    assert sizes == [1, 1, 1, 1], "after a batch of one, the next is written at the end of its turn"


@pytest.mark.requirement("LEDGER-20")
def test_a_batch_does_not_gather_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = asyncio.run(batches(tmp_path, monkeypatch, list(range(60))))
    assert sum(sizes) == 60
    assert max(sizes) <= GATHER_TURNS_MAX + 2


class DiskClock(ManualClock):
    """Time passes while it is looked at, as much as `span` says: syncs take so long."""

    def __init__(self, span: float) -> None:
        super().__init__()
        self.span = span

    def monotonic(self) -> float:
        self.advance(self.span)
        return super().monotonic()


@pytest.mark.requirement("LEDGER-19")
def test_syncs_leave_the_loop_when_the_disk_gets_slow_and_come_back_when_it_recovers(tmp_path: Path) -> None:
    async def run() -> None:
        key, sign = log_key()
        clock = DiskClock(0.000_1)
        settings = replace(SMALL, commit="auto")
        async with TlogFilesLedger.open(
            tmp_path / "log", key=key, sign=sign, clock=clock, settings=settings
        ) as ledger:
            modes = []
            for span in (0.000_1, 0.01, 0.000_1):
                clock.span = span
                await grown(ledger, ledger.size + 1)
                for number in range(120):
                    await ledger.append(refusal_entry(number))
                modes.append(ledger.syncs_inline)
            assert modes == [True, False, True]
            ledger.seal()

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert (report.errors, report.size) == (0, 364), report.as_lines()


async def many(ledger: TlogFilesLedger) -> None:
    """More than the bound has room for."""
    for number in range(200):
        await ledger.append(large(number))


def unsealed(ledger: TlogFilesLedger) -> int:
    return ledger._commit._planned - ledger._commit._sealed


@pytest.mark.requirement("LEDGER-21")
def test_never_more_than_the_bound_is_unsealed_and_nobody_need_ask_for_a_seal(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log", BOUNDED) as ledger:
            most = 0

            async def call(first: int) -> None:
                nonlocal most
                for number in range(first, first + 60):
                    await ledger.append(large(number))
                    most = max(most, unsealed(ledger))

            await asyncio.gather(*(call(100 * one) for one in range(8)))
            assert 40_000 < most <= 90_000
            assert ledger.size == 481
            assert checkpoint_of(ledger).size > 300

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert (report.errors, report.signed) == (0, 481), report.as_lines()
    assert report.checkpoints > 4


@pytest.mark.requirement("LEDGER-21")
def test_entries_wait_for_a_sealer_that_does_not_keep_up_and_none_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on, write = threading.Event(), TileFiles.write

    def held_up(self: TileFiles, contents) -> None:
        going_on.wait(10)
        write(self, contents)

    async def run() -> None:
        async with small_log(tmp_path / "log", replace(BOUNDED, append_wait_seconds_max=0.1)) as ledger:
            monkeypatch.setattr(TileFiles, "write", held_up)
            with pytest.raises(Unavailable) as refused:
                await many(ledger)
            taken = ledger.size
            assert (refused.value.code, refused.value.effect) == ("ledger.busy", "none")
            with pytest.raises(Unavailable) as at_once:
                ledger.submit(large(1))
            assert at_once.value.code == "ledger.busy"
            assert unsealed(ledger) <= 90_000
            await ledger.append(owed_entry(1))
            patient = asyncio.ensure_future(ledger.append(large(1)))
            await asyncio.sleep(0.01)
            going_on.set()
            assert (await patient).index == taken + 1

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert (report.errors, report.signed) == (0, report.size), report.as_lines()


@pytest.mark.requirement("LEDGER-21")
def test_an_entry_that_the_bound_has_no_room_for_starts_a_seal(tmp_path: Path) -> None:
    settings = replace(BOUNDED, seal_unsealed_bytes=90_000)

    async def run() -> None:
        async with small_log(tmp_path / "log", settings) as ledger:
            await ledger.append(refusal_entry(1, b'"' + b"x" * 50_000 + b'"'))
            assert checkpoint_of(ledger).size == 1
            await ledger.append(refusal_entry(2, b'"' + b"x" * 50_000 + b'"'))
            assert checkpoint_of(ledger).size == 2
            with pytest.raises(Unavailable) as refused:
                await ledger.append(refusal_entry(3, b'"' + b"x" * 95_000 + b'"'))
            assert refused.value.code == "ledger.full", "it would never fit"

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-21")
def test_a_seal_that_nobody_waits_for_poisons_the_log_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: TileFiles, contents) -> None:
        raise OSError(errno.EIO, "broken")

    async def run() -> None:
        ledger = small_log(tmp_path / "log", BOUNDED)
        monkeypatch.setattr(TileFiles, "write", failing)
        with pytest.raises(Unavailable) as refused:
            await many(ledger)
        assert refused.value.code == "ledger.poisoned"
        with pytest.raises(Unavailable) as told:
            await asyncio.wait_for(ledger.seal_every(0.001), 1)
        assert told.value.code == "ledger.poisoned"
        await ledger.close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-21")
def test_damage_that_the_sealer_meets_by_itself_ends_the_log(tmp_path: Path) -> None:
    async def run() -> None:
        ledger = small_log(tmp_path / "log", BOUNDED)
        await ledger.append(refusal_entry(1))
        segment = next((tmp_path / "log/wal").glob("*.wal"))
        segment.write_bytes(segment.read_bytes().replace(b"action-1", b"action-2"))
        with pytest.raises(Unavailable) as refused:
            await many(ledger)
        assert refused.value.code == "ledger.poisoned"
        await ledger.close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-22")
def test_a_segment_is_made_only_where_its_tiles_fit_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = namedtuple("space", "f_bavail f_frsize")
    size = 16_384
    for free, fits in ((3 * size, True), (3 * size - 1, False), (size, False), (0, False)):
        monkeypatch.setattr(os, "statvfs", lambda path, free=free: space(free, 1))
        if fits:
            directory.zero_filled(tmp_path / "spare", size)
            assert (tmp_path / "spare").stat().st_size == size
            (tmp_path / "spare").unlink()
        else:
            with pytest.raises(OSError) as full:
                directory.zero_filled(tmp_path / "spare", size)
            assert full.value.errno == errno.ENOSPC
            assert not (tmp_path / "spare").exists()


@pytest.mark.requirement("LEDGER-22")
def test_without_room_for_tiles_new_entries_end_owed_ones_go_on_and_sealing_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all = directory.write_all

    def full(fd: int, content: bytes, offset: int) -> None:
        if "tile.new" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.ENOSPC, "no space")
        write_all(fd, content, offset)

    async def run() -> None:
        settings = replace(BOUNDED, append_wait_seconds_max=0.1, allocation_retry_seconds=0.05)
        async with small_log(tmp_path / "log", settings) as ledger:
            with monkeypatch.context() as patch:
                patch.setattr(directory, "write_all", full)
                with pytest.raises(Unavailable) as refused:
                    await many(ledger)
                assert (refused.value.code, refused.value.effect) == ("ledger.full", "none")
                for number in range(20):
                    await ledger.append(owed_entry(number))
                with pytest.raises(Unavailable) as no_checkpoint:
                    ledger.seal()
                assert no_checkpoint.value.code == "ledger.full"
                assert not list((tmp_path / "log/tile.new").iterdir()), "nothing half written is left"
            sealing = asyncio.ensure_future(ledger.seal_every(0.001))
            # It is found out by trying again from time to time that there is room, on a busy machine later.
            for _ in range(3_000):
                if checkpoint_of(ledger).size == ledger.size:
                    break
                await asyncio.sleep(0.01)
            await ledger.append(large(1))
            assert checkpoint_of(ledger).size >= ledger.size - 1
            sealing.cancel()

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert (report.errors, report.signed) == (0, report.size), report.as_lines()


@pytest.mark.requirement("LEDGER-21")
@pytest.mark.parametrize(
    ("most", "due"), [(64 * 2**20, 64 * 2**20), (1_000_000, 1_000_000), (2**30, 0), (2**20, 2**20)]
)
def test_a_bound_without_room_before_it_is_refused(most: int, due: int) -> None:
    with pytest.raises(Malformed):
        TlogFilesSettings(unsealed_bytes_max=most, seal_unsealed_bytes=due)
