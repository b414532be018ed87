"""A ledger in memory for tests and trials: every promise of the port except stable storage."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.batch_head import BatchHead, batch_head_key
from answerable.core.ledger.codec import chain_start, chained
from answerable.core.ledger.entry import Receipt, StoredEntry, sealed_entry
from answerable.core.ledger.open_intents import OpenIntents
from answerable.core.ledger.tags import OWED, Tag
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import CompactRange, leaf_hash
from answerable.core.tlog.note import signed_note
from answerable.errors.codes.ledger import LEDGER_CLOSED, LEDGER_FULL, LEDGER_NO_ENTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.core.ledger.entry import Entry
    from answerable.core.tlog.note import VerifierKey
    from answerable.ports.clock import Clock

ENTRIES_MAX: Final = 1_000_000
RESERVE_ENTRIES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySubmitted:
    """Port Submitted."""

    receipt: Receipt

    async def durable(self) -> Receipt:
        """Return the receipt; other tasks run first."""
        await asyncio.sleep(0)
        return self.receipt


class MemoryLedger:
    """A ledger in memory. entries_max, reserve_entries: its size limit, and how many places before it are for owed
    entries.

    Implements ports.ledger.Ledger; entry 0 is the genesis entry.
    """

    def __init__(
        self,
        *,
        key: VerifierKey,
        sign: Callable[[bytes], bytes],
        clock: Clock,
        entries_max: int = ENTRIES_MAX,
        reserve_entries: int = RESERVE_ENTRIES,
    ) -> None:
        self._key = key
        self._sign = sign
        self._entries_max = entries_max
        self._reserve_entries = reserve_entries
        self._entries: list[StoredEntry] = []
        self._tree = CompactRange()
        self._chain = chain_start(key.name)
        self._open = OpenIntents()
        self._clock = clock
        self._head_key = batch_head_key(key)
        self._closed = False
        fields = {"key": key.formatted(), "origin": key.name}
        self._store(sealed_entry(Tag.GENESIS, at=clock.now(), members={**fields}))

    @property
    def origin(self) -> str:
        """The log's name, as in its checkpoints."""
        return self._key.name

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self._entries)

    async def append(self, entry: Entry) -> Receipt:
        """Store `entry` and return its place."""
        return await self.submit(entry).durable()

    def submit(self, entry: Entry) -> MemorySubmitted:
        """Store `entry`; the receipt comes after other tasks have run, as with a real log."""
        self._require_room(entry)
        return MemorySubmitted(receipt=self._store(entry))

    def _require_room(self, entry: Entry) -> None:
        self._require_open()
        limit = self._entries_max if entry.tag in OWED else self._entries_max - self._reserve_entries
        if len(self._entries) >= limit:
            raise LEDGER_FULL("no room for another entry")

    async def room(self, entry: Entry) -> None:
        """Return at once: memory always has room."""

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        """Return entries from index `start` on, in order, as of the call."""
        return iter(self._entries[start:])

    def entry(self, index: int) -> StoredEntry:
        """Return one entry. Raises Malformed (`ledger.no_entry`)."""
        if not 0 <= index < len(self._entries):
            raise LEDGER_NO_ENTRY(f"there is no entry {index}: the log holds {len(self._entries)}")
        return self._entries[index]

    def open_intents(self) -> tuple[StoredEntry, ...]:
        """Return the intents without an end at this moment, in order."""
        return tuple(self._entries[intent.entry] for intent in self._open.all())

    def seal(self) -> str:
        """Sign a checkpoint over all entries; return its text (C2SP tlog-checkpoint)."""
        self._require_open()
        checkpoint = Checkpoint(origin=self._key.name, size=self._tree.size, root=self._tree.root())
        return signed_note(checkpoint.text(), key=self._key, sign=self._sign).encoded().decode()

    async def close(self) -> None:
        """Accept no more entries."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise LEDGER_CLOSED()

    def _store(self, entry: Entry) -> Receipt:
        hashed = leaf_hash(entry.leaf)
        stored = StoredEntry(
            index=len(self._entries),
            tag=int(entry.tag),
            leaf=entry.leaf,
            attachment=entry.attachment,
            leaf_hash=hashed,
        )
        self._entries.append(stored)
        self._tree.append(hashed)
        self._chain = chained(self._chain, hashed)
        self._open.saw(entry.leaf, stored.index, 0, 0)
        head = BatchHead(self._head_key, self._sign)
        head.fixed(origin=self._key.name, size=len(self._entries), chain=self._chain, at=self._clock.now())
        return Receipt(index=stored.index, leaf_hash=hashed, head=head)
