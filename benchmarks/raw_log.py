"""The floor under every durable log: plain appends to a zero-filled file with one fdatasync per turn of the event loop.

No framing, no checksum, no hash, no bounds: what a ledger with the same grouping cannot go below on this disk and loop.
Used by the other benchmarks in the same run; by itself it prints its own figures.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

FILE_BYTES = 64 * 1_048_576


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds."""

    p50_ms: float
    p99_ms: float


class RawLog:
    """Appends that share an fdatasync with all others of the same turn of the event loop."""

    def __init__(self, path: Path) -> None:
        self._fd = _zero_filled(path)
        self._offset = 0
        self._pieces: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []

    async def append(self, record: bytes) -> None:
        """Returns when the record's batch is on stable storage."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        durable: asyncio.Future[None] = loop.create_future()
        self._pieces.append(record)
        self._waiting.append(durable)
        await durable

    def close(self) -> None:
        """Give the file back."""
        os.close(self._fd)

    def _flush(self) -> None:
        content, waiting = b"".join(self._pieces), self._waiting
        self._pieces, self._waiting = [], []
        if self._offset + len(content) > FILE_BYTES:
            self._offset = 0
        os.pwrite(self._fd, content, self._offset)
        os.fdatasync(self._fd)
        self._offset += len(content)
        for durable in waiting:
            durable.set_result(None)


def raw_group_commit(directory: Path, *, callers: int, seconds: float, record_bytes: int) -> float:
    """Durable records per second with this many callers, each waiting for its own record before the next."""
    path = directory / "raw.log"
    rate = asyncio.run(_group_commit(path, callers, seconds, record_bytes))
    path.unlink()
    return rate


def single_fdatasync(directory: Path, count: int) -> Latency:
    """Time of one 4 KiB write and its fdatasync in a zero-filled file, one after another."""
    path = directory / "single.log"
    fd = _zero_filled(path)
    record, spans = os.urandom(4096), []
    for number in range(count):
        start = time.perf_counter()
        os.pwrite(fd, record, number * len(record) % FILE_BYTES)
        os.fdatasync(fd)
        spans.append((time.perf_counter() - start) * 1000)
    os.close(fd)
    path.unlink()
    cuts = statistics.quantiles(spans, n=100)
    return Latency(p50_ms=cuts[49], p99_ms=cuts[98])


async def records_per_second(
    append: Callable[[], Awaitable[object]], *, callers: int, seconds: float
) -> float:
    """So many closed loops around one append: the loop that the raw file, SQLite and bare frames are measured in."""
    start = time.perf_counter()
    stop_at = start + seconds

    async def call() -> int:
        count = 0
        while time.perf_counter() < stop_at:
            await append()
            count += 1
        return count

    counts = await asyncio.gather(*(call() for _ in range(callers)))
    return sum(counts) / (time.perf_counter() - start)


async def _group_commit(path: Path, callers: int, seconds: float, record_bytes: int) -> float:
    log, record = RawLog(path), os.urandom(record_bytes)
    rate = await records_per_second(partial(log.append, record), callers=callers, seconds=seconds)
    log.close()
    return rate


def _zero_filled(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    zeros = bytes(1_048_576)
    for offset in range(0, FILE_BYTES, len(zeros)):
        os.pwrite(fd, zeros, offset)
    os.fsync(fd)
    return fd


def main() -> None:
    """Print the floor of this machine."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:
        directory = Path(scratch)
        single = single_fdatasync(directory, 300)
        print(f"one write and fdatasync: p50 {single.p50_ms:.3f} ms, p99 {single.p99_ms:.3f} ms")
        for callers in (1, 16, 64, 256):
            rate = raw_group_commit(directory, callers=callers, seconds=1.0, record_bytes=1024)
            print(f"{callers:4} callers: {rate:10.0f} durable records/s")


if __name__ == "__main__":
    main()
