"""Failing disks and damaged files: what a ledger in files does about them while open and when opened."""

from __future__ import annotations

import asyncio
import errno
import os
import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import reading
from answerable.adapters.tlog_files.settings import Commit
from answerable.core.canonical import parse
from answerable.core.ledger.codec import SEGMENT_BYTES_MAX, frame_header
from answerable.core.ledger.head import Head
from answerable.errors import Broken, Unavailable
from answerable.testing.contracts.ledger import (
    ORIGIN,
    log_key,
    refusal_entry,
)
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.ledger_files import SMALL, small_log


@pytest.mark.requirement("LEDGER-04")
def test_a_disk_that_fails_reads_while_a_checkpoint_is_made_is_named_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        await ledger.append(refusal_entry(0))
        with monkeypatch.context() as broken:
            broken.setattr(reading, "open_plain", failing)
            with pytest.raises(Unavailable) as ended:
                ledger.seal()
        assert (ended.value.code, "input/output error" in ended.value.message) == ("ledger.poisoned", True)
        with suppress(Unavailable):
            await ledger.close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-04")
@pytest.mark.parametrize("commit", ["inline", "thread"])
def test_a_failed_sync_poisons_the_log_until_it_is_opened_anew(
    tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_sync, calls = os.fdatasync, []

    def failing(fd: int) -> None:
        calls.append(fd)
        time.sleep(0.02)
        raise OSError(errno.EIO, "broken")

    async def run() -> None:
        ledger = small_log(tmp_path / "log", replace(SMALL, commit=commit))
        kept = await ledger.append(refusal_entry(0))
        await asyncio.sleep(0.05)
        monkeypatch.setattr(os, "fdatasync", failing)
        lost = [ledger.submit(refusal_entry(number)) for number in (1, 2)]
        waiting = asyncio.gather(*(one.durable() for one in lost), return_exceptions=True)
        await asyncio.sleep(0.005)
        late = await asyncio.gather(
            *(ledger.append(refusal_entry(number)) for number in (3, 4)), return_exceptions=True
        )
        monkeypatch.setattr(os, "fdatasync", real_sync)
        told = [(one.code, one.effect) for one in [*await waiting, *late] if isinstance(one, Unavailable)]
        assert told == [("ledger.poisoned", "unknown")] * 2 + [("ledger.poisoned", "none")] * 2
        for one in lost:
            with pytest.raises(Unavailable) as refused:
                await one.durable()
            assert refused.value.effect == "unknown"
        with pytest.raises(Unavailable):
            ledger.seal()
        with pytest.raises(Unavailable):
            ledger.submit(refusal_entry(5))
        with pytest.raises(Unavailable) as ended:
            await asyncio.wait_for(ledger.seal_every(0.001), 1)
        assert ended.value.code == "ledger.poisoned"
        assert len(calls) == 1
        await ledger.close()
        async with small_log(tmp_path / "log") as again:
            assert kept.leaf_hash in [one.leaf_hash for one in again.replay()]
            last = parse(list(again.replay())[-1].leaf)
            assert isinstance(last, dict)
            assert last["clean"] is False

    asyncio.run(run())
    assert verify_ledger(tmp_path / "log", key=log_key()[0]).errors == 0


@pytest.mark.requirement("LEDGER-02")
def test_a_write_that_takes_several_calls_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite

    def short(fd: int, content: bytes, offset: int) -> int:
        return real(fd, bytes(content)[:100], offset)

    async def run() -> None:
        async with small_log(tmp_path / "log", replace(SMALL, segment_bytes=16_384)) as ledger:
            await asyncio.sleep(0.05)
            monkeypatch.setattr(os, "pwrite", short)
            await asyncio.gather(*(ledger.append(refusal_entry(number)) for number in range(10)))
            monkeypatch.setattr(os, "pwrite", lambda fd, content, offset: 0)
            with pytest.raises(Unavailable) as refused:
                await asyncio.gather(*(ledger.append(refusal_entry(number)) for number in range(10)))
            assert refused.value.effect == "unknown"
            monkeypatch.setattr(os, "pwrite", real)

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert (report.errors, report.size) == (0, 11)


@pytest.mark.requirement("LEDGER-06")
def test_stored_bytes_that_changed_are_not_signed(tmp_path: Path) -> None:
    async def run() -> None:
        for change in ("body", "chain", "end"):
            path = tmp_path / change
            ledger = small_log(path)
            await ledger.append(refusal_entry(1))
            segment = next((path / "wal").glob("*.wal"))
            content = bytearray(segment.read_bytes())
            at = content.index(b'"action-1"')
            if change == "body":
                content[at] ^= 1
            elif change == "chain":
                frame = refusal_entry(2)
                header = frame_header(frame.leaf, frame.attachment, chain=bytes(32), batch=1)
                start = content.rindex(b"\xf5ENT", 0, at)
                content[start : start + len(header)] = header
                content[start + len(header) :] = frame.leaf + frame.attachment
            else:
                start = content.rindex(b"\xf5ENT", 0, at)
                content[start:] = bytes(len(content) - start)
            segment.write_bytes(content)
            with pytest.raises(Broken) as refused:
                ledger.seal()
            assert refused.value.code == "ledger.corrupt"
            with pytest.raises(Unavailable):
                await ledger.append(refusal_entry(3))
            await ledger.close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-06")
def test_damage_that_comes_while_the_log_is_open_ends_the_sealing(tmp_path: Path) -> None:
    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        await ledger.append(refusal_entry(1))
        segment = next((tmp_path / "log/wal").glob("*.wal"))
        segment.write_bytes(segment.read_bytes().replace(b"action-1", b"action-2"))
        with pytest.raises(Broken):
            await asyncio.wait_for(ledger.seal_every(0.001), 1)
        with pytest.raises(Broken):
            list(ledger.replay())
        await ledger.close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-04")
def test_a_hole_of_gigabytes_in_a_segment_is_refused_and_not_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            await ledger.append(refusal_entry(0))
        newest = max((tmp_path / "log" / "wal").glob("*.wal"))
        os.truncate(newest, SEGMENT_BYTES_MAX + 1)
        tracemalloc.start()
        try:
            with pytest.raises(Broken, match=f"has {SEGMENT_BYTES_MAX + 1} bytes, at most") as refused:
                small_log(tmp_path / "log")
            assert tracemalloc.get_traced_memory()[1] < SEGMENT_BYTES_MAX // 16
        finally:
            tracemalloc.stop()
        assert refused.value.code == "ledger.corrupt"

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-06")
def test_damaged_small_files_keep_the_log_shut(tmp_path: Path) -> None:
    async def run() -> None:
        await small_log(tmp_path / "log").close()
        for name, content in (
            ("head", b"rubbish"),
            ("head", Head(origin="other", size=1, chain=bytes(32), clean=True).encoded()),
            ("head", Head(origin=ORIGIN, size=1, chain=bytes(32), clean=True).encoded()),
            ("head", Head(origin=ORIGIN, size=9, chain=bytes(32), clean=True).encoded()),
            ("checkpoint", b"rubbish"),
            ("log.pub", b"rubbish\n"),
        ):
            path = tmp_path / "log" / name
            before = path.read_bytes()
            path.write_bytes(content)
            with pytest.raises(Broken):
                small_log(tmp_path / "log")
            path.write_bytes(before)
        await small_log(tmp_path / "log").close()

    asyncio.run(run())


@pytest.mark.requirement("FULLDISK-09")
@pytest.mark.parametrize("first", [errno.EROFS, errno.EIO])
def test_a_disk_that_takes_nothing_any_more_ends_the_log_and_not_the_process(
    tmp_path: Path, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails says EIO to the write that found it out, and that it is read-only from then on."""

    def failing(fd: int) -> None:
        raise OSError(first, "broken")

    def refusing(fd: int, content: bytes, offset: int) -> int:
        raise OSError(errno.EROFS, "broken")

    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        kept = await ledger.append(refusal_entry(0))
        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", failing)
            # The write that finds it out goes through, and nothing after it.
            real = os.pwrite
            writes = iter([real])
            broken.setattr(os, "pwrite", lambda *given: next(writes, refusing)(*given))
            with pytest.raises(Unavailable) as lost:
                await ledger.append(refusal_entry(1))
            assert (lost.value.code, lost.value.effect) == ("ledger.unwritable", "unknown")
        # Written again or not: nothing more is taken, and nobody ends for it.
        with pytest.raises(Unavailable) as refused:
            await ledger.append(refusal_entry(2))
        assert (refused.value.code, refused.value.effect) == ("ledger.unwritable", "none")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ledger.seal_every(0.001), 0.1)
        await ledger.close()
        async with small_log(tmp_path / "log") as again:
            assert kept.leaf_hash in [one.leaf_hash for one in again.replay()]

    asyncio.run(run())
    assert verify_ledger(tmp_path / "log", key=log_key()[0]).errors == 0
