"""Port: the append-only sequence of entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from answerable.core.ledger.entry import Entry, Receipt, StoredEntry


PORT: Final = "ledger"
"""Name of this component in its errors."""
TAKES_NOTHING_NOW: Final = frozenset({"ledger.full", "ledger.busy", "ledger.unwritable"})
"""Error codes with which a log refuses entries while its content is intact. No process ends for them, because only a
running process can still end what acts."""


class Submitted(Protocol):
    """An entry that has its index in the log and is being written to stable storage, whether or not a caller waits for
    it."""

    @property
    def receipt(self) -> Receipt:
        """The entry's index; guaranteed only once `durable` has returned."""
        ...

    def durable(self) -> Awaitable[Receipt]:
        """Wait until the entry is on stable storage. Cancelling the wait does not withdraw the entry, and the wait may
        be repeated. Raises Unavailable as `Ledger.append` does."""
        ...


class Ledger(Protocol):
    """Promises: when `append` returns, the entry is on stable storage (write and fdatasync of its whole batch returned)
    at the index in the receipt; indexes are consecutive and start at 0; appends may run concurrently and share a sync.

    After the first failed write or sync nothing more is accepted until a restart has verified the content on disk. When
    space runs low, new entries are refused while owed ones (`tags.OWED`) are still accepted from a reserve. The queue
    is bounded, and so is the number of durable entries that no checkpoint covers yet: past either limit `append`
    refuses; it never drops. A second writer cannot open the same log.

    A receipt's `head` can be signed from when `append` or `durable` has returned: it states the content of the log up
    to that entry before any checkpoint does.

    Raises only Unavailable: `ledger.poisoned` (effect unknown for entries of the failed batch), `ledger.unwritable`
    (the same, where the disk accepts nothing any more, so that no restart could open it), `ledger.full`, `ledger.busy`,
    `ledger.closed`. A cancelled `append` may still become durable; a caller that must know uses `submit`.
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
        """Make `entry` durable and return its index."""
        ...

    def submit(self, entry: Entry) -> Submitted:
        """Assign an index to `entry` at once. Raises Unavailable as `append` does, `ledger.busy` instead of waiting."""
        ...

    async def room(self, entry: Entry) -> None:
        """Wait, as `append` does, until `submit` may accept `entry`. Reserves nothing. Raises Unavailable."""
        ...

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        """Return the durable entries from index `start` on, in order, as of the call."""
        ...

    def entry(self, index: int) -> StoredEntry:
        """Return one durable entry without reading those before it. Raises Malformed (`ledger.no_entry`)."""
        ...

    def open_intents(self) -> tuple[StoredEntry, ...]:
        """Return the intents without an outcome, in order, as of the opening of the log or later: for the start of a
        process, before it appends anything. The cost does not depend on the length of the log."""
        ...

    def seal(self) -> str:
        """Sign and publish a checkpoint over all durable entries; return its text (C2SP tlog-checkpoint)."""
        ...
