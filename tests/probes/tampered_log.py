"""A witnessed log as the real writer leaves it, and what a thief of the directory, or of the log's key, does to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.ledger.codec import (
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    decode_frame,
)
from answerable.core.ledger.entry import Entry
from answerable.core.tlog.policy import parse_policy
from answerable.testing.clock import START, ManualClock
from answerable.testing.contracts.ledger import log_key, refusal_entry
from answerable.verify.ledger_history import verify_ledger
from answerable.verify.report import LedgerReport
from tests.probes.crash_cases import MEMORY
from tests.worlds.ledger import CITED, end, intent, run_after
from tests.worlds.ledger_script import cosigned_note, files_in, laid_out, settings_for, trusted

STEP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of bytes of one kind. entry: whose it is, where it is one's."""

    kind: str
    file: str
    start: int
    stop: int
    entry: int | None = None


def sixteen() -> list[Entry]:
    """What follows the genesis entry: two actions in one run, refusals, a few large enough to fill a segment."""
    first = intent("a-1", at=START, run=run_after())
    told = end(first, 4, "a-1", payload=b'{"result":1}', at=START, run=run_after(first))
    second = intent("a-2", at=START, run=run_after(told))
    unknown = end(second, 6, "a-2", "indeterminate", at=START, run=run_after(second))
    found = end(second, 6, "a-2", "failed", at=START, run=run_after(unknown))
    large = [refusal_entry(number, b'"' + b"p" * 4_000 + b'"') for number in range(5)]
    small = [refusal_entry(number, b'"p"') for number in range(10, 12)]
    return [*CITED, first, told, second, unknown, found, *large, *small]


def thousand() -> list[Entry]:
    """The same, and refusals up to a thousand entries."""
    begun = sixteen()
    return [*begun, *(refusal_entry(number, b'"%d"' % number) for number in range(100, 1099 - len(begun)))]


def written(
    entries: Sequence[Entry],
    directory: Path,
    *,
    seals: Sequence[int],
    key_of: str = "ledger.example/contract",
    witnessed: bool = True,
    at: int = START,
) -> None:
    """Write a log with the real writer: sealed and witnessed at these sizes, closed in order.

    key_of: whose key signs, under the log's own name; what a thief without that key would use is another.
    """
    clock = ManualClock(at)
    key = log_key()[0]
    sign = log_key(key_of)[1]

    async def run() -> None:
        async with TlogFilesLedger.open(
            directory, key=key, sign=sign, clock=clock, settings=settings_for("inline")
        ) as ledger:
            for entry in entries:
                await ledger.append(entry)
                if ledger.size in seals:
                    note = ledger.seal().encode()
                    if witnessed:
                        clock.advance(STEP_SECONDS / 60)
                        ledger.publish_cosigned(cosigned_note(note, clock.now()))

    asyncio.run(run())


@cache
def sample(name: str) -> dict[str, bytes]:
    """Files of a witnessed log of 16 or 1,000 entries."""
    entries, seals = {"sixteen": (sixteen(), (6, 11, 16)), "thousand": (thousand(), (16, 300, 700, 1000))}[
        name
    ]
    place = Path(mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    try:
        written(entries, place / "log", seals=seals)
        return files_in(place / "log")
    finally:
        shutil.rmtree(place)


def verdict(directory: Path, *, witnessed_since: int = 0, kept: bytes | None = None) -> LedgerReport:
    """Under the policy file that the auditor has."""
    policy = parse_policy(trusted().text())
    return verify_ledger(directory, policy=policy, witnessed_since=witnessed_since, kept=kept)


@contextmanager
def laid(files: dict[str, bytes]) -> Iterator[Path]:
    """A directory with these files."""
    place = Path(mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    try:
        laid_out(files, place / "log")
        yield place / "log"
    finally:
        shutil.rmtree(place)


def regions(files: dict[str, bytes]) -> list[Region]:
    """Every byte of every file, by what it is."""
    found: list[Region] = []
    for name, content in files.items():
        if name.startswith("wal/") and name.endswith(".wal"):
            found += _segment_regions(name, content)
        elif name.startswith("tile/entries/"):
            found += _bundle_regions(name, content)
        elif name in ("checkpoints.log", "checkpoint", "cosigned.log", "cosigned"):
            found += _note_regions(name, content)
        elif content:
            kind = "tile" if name.startswith("tile/") else name
            found.append(Region(kind, name, 0, len(content)))
    return found


def _segment_regions(name: str, content: bytes) -> Iterator[Region]:
    yield Region("segment header", name, 0, SEGMENT_HEADER_BYTES)
    index, offset = int(name[4:20], 16), SEGMENT_HEADER_BYTES
    while (frame := decode_frame(content, offset)) is not None:
        body = offset + FRAME_HEADER_BYTES
        yield Region("frame head", name, offset, body, index)
        yield Region("leaf", name, body, body + len(frame.leaf), index)
        if frame.attachment:
            yield Region("ciphertext", name, body + len(frame.leaf), frame.end, index)
        index, offset = index + 1, frame.end
    if offset < len(content):
        yield Region("unused zeros", name, offset, len(content))


def _bundle_regions(name: str, content: bytes) -> Iterator[Region]:
    offset, number = 0, 0
    first = int(name.split("/")[2].removesuffix(".p")) * 256
    while offset < len(content):
        stop = offset + 2 + int.from_bytes(content[offset : offset + 2], "big")
        yield Region("bundle", name, offset, stop, first + number)
        offset, number = stop, number + 1


def _note_regions(name: str, content: bytes) -> Iterator[Region]:
    kind, start = "checkpoint text", 0
    last = content.rfind(b" witness")
    for line in content.splitlines(keepends=True):
        stop = start + len(line)
        if line.startswith("— ".encode()):
            kind = "cosignature" if b" witness" in line else "checkpoint signature"
        if kind == "cosignature" and stop < last:
            # A key id takes five letters and a part of the sixth.
            signature = start + line.rindex(b" ") + 7 if b" " in line else start
            yield Region("earlier cosigner", name, start, signature)
            start = signature
        yield Region(kind, name, start, stop)
        if line == b"\n" and kind.endswith("signature"):
            kind = "checkpoint text"
        start = stop
