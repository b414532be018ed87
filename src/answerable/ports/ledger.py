"""Port: the append-only sequence of entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.ledger.entry import Entry, Receipt, StoredEntry


PORT: Final = "ledger"
"""What its failures say that it is."""
TAKES_NOTHING_NOW: Final = frozenset({"ledger.full", "ledger.busy", "ledger.unwritable"})
"""Codes with which a log takes nothing and what stands in it is as sure as before: no process ends for it, as only a
process that runs can still end what acts."""


class Submitted(Protocol):
    """An entry that has its place in the log and is on its way to stable storage, whoever waits for it or leaves."""

    @property
    def receipt(self) -> Receipt:
        """Its place; a promise only once `durable` has returned."""
        ...

    async def durable(self) -> Receipt:
        """Wait until it is on stable storage. Cancelling the wait does not take the entry back, and it may be waited
        for again. Raises Unavailable as `Ledger.append` does."""
        ...


class Ledger(Protocol):
    """Promises: when `append` returns, the entry is on stable storage (write and fdatasync of its whole batch returned)
    at the index in the receipt; indexes are consecutive and start at 0; appends may run concurrently and share a sync.

    After the first failed write or sync nothing more is accepted until a restart has verified what is on disk. When
    space runs low new entries are refused while owed ones (`tags.OWED`) are still taken from a reserve. The queue is
    bounded, and so is what is durable and no checkpoint covers yet: past either `append` refuses, it never drops. A
    second writer on the same log cannot open it.

    A receipt's `head` can be signed from when `append` or `durable` has returned: that says what the log holds up to
    there, before any checkpoint does.

    Raises only Unavailable: `ledger.poisoned` (effect unknown for entries of the failed batch), `ledger.unwritable`
    (the same, where the disk takes nothing any more, so that no restart could open it), `ledger.full`, `ledger.busy`,
    `ledger.closed`. A cancelled `append` may still become durable; who must know uses `submit`.
    """

    @property
    def origin(self) -> str:
        """The log's name, as in its checkpoints."""
        ...

    @property
    def size(self) -> int:
        """Number of durable entries."""
        ...

    async def append(self, entry: Entry) -> Receipt:
        """Make `entry` durable and return its place."""
        ...

    def submit(self, entry: Entry) -> Submitted:
        """Give `entry` its place at once. Raises Unavailable as `append` does, `ledger.busy` instead of waiting."""
        ...

    async def room(self, entry: Entry) -> None:
        """Wait, as `append` does, until `submit` may take `entry`. Takes nothing itself. Raises Unavailable."""
        ...

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        """Durable entries from index `start` on, in order, as they were when the call was made."""
        ...

    def entry(self, index: int) -> StoredEntry:
        """One durable entry, found without reading those before it. Raises Malformed (`ledger.no_entry`)."""
        ...

    def open_intents(self) -> tuple[StoredEntry, ...]:
        """Intents without an end, in order, as they were when the log was opened or later: for the start of a process,
        before it appends anything. Costs no more for a long log than for a short one."""
        ...

    def seal(self) -> str:
        """Sign and publish a checkpoint over all durable entries; returns its text (C2SP tlog-checkpoint)."""
        ...
