"""What a writer does while faults befall it: every kind of file is written, a segment ends, a tile becomes full.

A script is played on a directory. It tells each promise that the log makes the moment it is made: an acknowledgement
with its batch head, a checkpoint, a cosigned checkpoint.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.adapters.tlog_files.settings import Commit
from answerable.core.ledger.entry import Entry, Receipt
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.note import Note
from answerable.core.tlog.policy import Policy
from answerable.testing.clock import START, ManualClock
from answerable.testing.contracts.ledger import log_key, owed_entry, refusal_entry
from tests.worlds.ledger import CITED, end, intent, policy, witness_key

KEY, SIGN = log_key()
WITNESS = "witness.example/w1"
SEGMENT_BYTES = 16_384


@dataclass(slots=True)
class Promised:
    """What the log has promised so far. acknowledged: leaf hash by index. notes: checkpoints and batch heads, as the
    log signed them. cosigned: size of the newest cosigned checkpoint that was published."""

    acknowledged: dict[int, bytes] = field(default_factory=dict)
    notes: list[bytes] = field(default_factory=list)
    cosigned: int = 0

    def kept(self) -> bytes | None:
        """As `verify_ledger` takes it: what somebody kept who trusts nobody."""
        return b"".join(note + b"\n" for note in self.notes) if self.notes else None

    def copied(self) -> Promised:
        """As it stands now."""
        return Promised(dict(self.acknowledged), list(self.notes), self.cosigned)


class Teller:
    """Hears of promises as they are made. Overridden by who passes them on."""

    def __init__(self) -> None:
        self.promised = Promised()

    def acknowledged(self, receipt: Receipt) -> None:
        """An entry is durable."""
        assert receipt.head is not None
        self.promised.acknowledged[receipt.index] = receipt.leaf_hash
        head = receipt.head.signed()
        if head not in self.promised.notes[-2:]:
            self.promised.notes.append(head)

    def published(self, note: str) -> None:
        """A checkpoint was signed."""
        if note and note.encode() not in self.promised.notes[-3:]:
            self.promised.notes.append(note.encode())

    def published_cosigned(self, size: int) -> None:
        """A cosigned checkpoint was published."""
        self.promised.cosigned = size


def settings_for(commit: Commit) -> TlogFilesSettings:
    """Small segments, short waits."""
    return TlogFilesSettings(
        segment_bytes=SEGMENT_BYTES,
        append_wait_seconds_max=0.5,
        allocation_retry_seconds=0.01,
        seal_slice_entries=64,
        commit=commit,
    )


def opened(directory: Path, commit: Commit = "inline") -> TlogFilesLedger:
    """The log of the scripts."""
    return TlogFilesLedger.open(
        directory, key=KEY, sign=SIGN, clock=ManualClock(), settings=settings_for(commit)
    )


@cache
def trusted() -> Policy:
    """The log's key and one witness."""
    return policy(WITNESS)


def cosigned_note(checkpoint: bytes, at: int = START) -> bytes:
    """A checkpoint with the cosignature of the witness."""
    note = Note.parse(checkpoint)
    key, sign = witness_key(WITNESS)
    line = cosignature(note.text, key=key, timestamp=at // 1000, sign=sign)
    return Note(text=note.text, signatures=(*note.signatures, line)).encoded()


Script = Callable[[Path, Commit, Teller], Coroutine[None, None, None]]


async def told(ledger: TlogFilesLedger, teller: Teller, entries: Sequence[Entry]) -> list[Receipt]:
    """Append these together; tell each acknowledgement."""

    async def one(entry: Entry) -> Receipt:
        receipt = await ledger.append(entry)
        teller.acknowledged(receipt)
        return receipt

    results = await asyncio.gather(*map(one, entries), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Receipt)]


def refusals(first: int, count: int, size: int) -> list[Entry]:
    """Entries of about this many bytes more than the least."""
    return [
        refusal_entry(number, b'"' + b"p" * (size * (number % 3) // 2) + b'"')
        for number in range(first, first + count)
    ]


async def publish_witnessed(ledger: TlogFilesLedger, teller: Teller) -> None:
    """Seal, have it cosigned, publish that."""
    note = ledger.seal()
    teller.published(note)
    ledger.publish_cosigned(cosigned_note(note.encode()))
    teller.published_cosigned(ledger.size)


async def birth(directory: Path, commit: Commit, teller: Teller) -> None:
    """A log is made, does an action, is witnessed, ends a segment, seals in the background, is closed and reopened."""
    ledger = opened(directory, commit)
    try:
        teller.published(ledger.checkpoint)
        await told(ledger, teller, CITED)
        begun = intent("a-1")
        (receipt,) = await told(ledger, teller, [begun])
        await told(ledger, teller, [end(begun, receipt.index, "a-1", payload=b'{"result":1}')])
        await publish_witnessed(ledger, teller)
        for first in (0, 14, 28):
            await told(ledger, teller, refusals(first, 14, 700))
        second = intent("a-2")
        (at,) = await told(ledger, teller, [second])
        await sealed_in_background(ledger)
        teller.published(ledger.checkpoint)
        await told(ledger, teller, [owed_entry(7)])
    finally:
        await ledger.close()
    teller.published(ledger.checkpoint)
    ledger = opened(directory, commit)
    try:
        await told(ledger, teller, [end(second, at.index, "a-2", "failed")])
        await publish_witnessed(ledger, teller)
    finally:
        await ledger.close()


async def sealed_in_background(ledger: TlogFilesLedger) -> None:
    """Wait until the sealer has covered what is there."""
    before = ledger.checkpoint
    sealing = asyncio.ensure_future(ledger.seal_every(0))
    # Nobody is told when a checkpoint comes; the sealer either makes one or ends.
    while ledger.checkpoint == before and not sealing.done():
        await asyncio.wait((sealing,), timeout=0.001)
    sealing.cancel()
    await asyncio.gather(sealing, return_exceptions=True)
    if not sealing.cancelled():
        sealing.result()


EARLIER = 250
"""Entries that `filling` finds: so many that its own make a tile full."""


async def earlier_entries(directory: Path) -> None:
    """Write what `filling` finds."""
    async with opened(directory) as ledger:
        teller = Teller()
        while ledger.size < EARLIER:
            await told(ledger, teller, refusals(ledger.size, min(25, EARLIER - ledger.size), 40))


async def filling(directory: Path, commit: Commit, teller: Teller) -> None:
    """A log that was closed in order is opened; a tile and a bundle become full, and partial ones are removed."""
    ledger = opened(directory, commit)
    try:
        await told(ledger, teller, refusals(1000, 4, 40))
        teller.published(ledger.seal())
        await told(ledger, teller, refusals(1010, 12, 40))
        await publish_witnessed(ledger, teller)
        await told(ledger, teller, [owed_entry(1)])
    finally:
        await ledger.close()
    teller.published(ledger.checkpoint)


async def mending(directory: Path, commit: Commit, teller: Teller) -> None:
    """A log whose writer was killed in a write is opened: a torn end is cut, a new segment begun."""
    ledger = opened(directory, commit)
    try:
        teller.published(ledger.checkpoint)
        await told(ledger, teller, refusals(2000, 3, 100))
        teller.published(ledger.seal())
    finally:
        await ledger.close()


SCRIPTS: dict[str, Script] = {"birth": birth, "filling": filling, "mending": mending}


@cache
def _earlier(place: Path) -> dict[str, bytes]:
    directory = place / f"earlier-{sha256(str(place).encode()).hexdigest()[:8]}"
    asyncio.run(earlier_entries(directory))
    found = files_in(directory)
    shutil.rmtree(directory)
    return found


def beginning(script: str, scratch: Path) -> dict[str, bytes]:
    """The files that a script finds."""
    if script == "birth":
        return {}
    found = dict(_earlier(scratch))
    if script == "mending":
        last = max(name for name in found if name.startswith("wal/") and name.endswith(".wal"))
        content = bytearray(found[last])
        used = len(content.rstrip(b"\x00"))
        # A batch of which the first bytes came to the disk, in a process that was killed.
        content[used : used + 40] = found[last][128:168]
        found[last] = bytes(content)
        found["head"] = found["head"].replace(b'"clean":true', b'"clean":false')
        found["tile.new/3"] = b"half a tile"
    return found


def files_in(directory: Path) -> dict[str, bytes]:
    """Content by path; folders that hold nothing have a final slash."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


def laid_out(files: dict[str, bytes], directory: Path) -> None:
    """Write them."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = directory / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
