"""Ledgers in files with small segments, and a disk that fills up when told to."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings, directory
from answerable.core.ledger.entry import Entry
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.errors import Unavailable
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import (
    log_key,
    refusal_entry,
)

SMALL = TlogFilesSettings(segment_bytes=65_536, append_wait_seconds_max=30, allocation_retry_seconds=0.02)


def small_log(path: Path, settings: TlogFilesSettings = SMALL) -> TlogFilesLedger:
    key, sign = log_key()
    return TlogFilesLedger.open(path, key=key, sign=sign, clock=ManualClock(), settings=settings)


async def grown(ledger: TlogFilesLedger, size: int) -> None:
    """Append entries until there are so many."""
    while ledger.size < size:
        count = min(64, size - ledger.size)
        await asyncio.gather(*(ledger.append(refusal_entry(number)) for number in range(count)))


def checkpoint_of(ledger: TlogFilesLedger) -> Checkpoint:
    """The newest checkpoint, verified."""
    return verified_checkpoint(ledger.checkpoint.encode(), origin=ledger.origin, log_keys=(log_key()[0],))


class DiskWithRoomFor:
    """Stands in for the making of segments: works `segments` times, then says that the disk is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, segments: int) -> None:
        self.segments = segments
        self._make = directory.zero_filled
        monkeypatch.setattr(directory, "zero_filled", self._zero_filled)

    def _zero_filled(self, path: Path, size: int) -> None:
        if self.segments <= 0:
            raise OSError(errno.ENOSPC, "no space")
        self.segments -= 1
        self._make(path, size)


async def is_taken(ledger: TlogFilesLedger, entry: Entry) -> bool:
    """Append it; False where the log is full."""
    try:
        await ledger.append(entry)
    except Unavailable as refused:
        if refused.code != "ledger.full":
            raise
        return False
    return True


async def appended_until_refused(ledger: TlogFilesLedger, entry: Callable[[int], Entry]) -> int:
    """Append until the log has no room; returns how many it took."""
    number = 0

    async def append_all() -> None:
        nonlocal number
        for number in range(10_000):
            await ledger.append(entry(number))

    with pytest.raises(Unavailable) as refused:
        await append_all()
    assert (refused.value.code, refused.value.effect) == ("ledger.full", "none")
    return number


def large(number: int) -> Entry:
    return refusal_entry(number, b"x" * 1_000)
