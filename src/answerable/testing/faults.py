"""A ledger with planned faults: an append fails before it takes effect, or after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from answerable.core.ledger.entry import Receipt
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors.codes.ledger import LEDGER_FULL, LEDGER_POISONED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.core.ledger.entry import Entry, StoredEntry
    from answerable.ports.ledger import Ledger, Submitted

Fault: TypeAlias = Literal["undone", "done", "full"]
"""undone: failed without effect. done: took effect, then failed. full: refused for lack of room."""


class FaultySubmitted:
    """A submitted entry that may or may not become durable, with or without an error."""

    def __init__(self, receipt: Receipt, submitted: Submitted | None, *, fails: bool) -> None:
        self.receipt = receipt
        self._submitted = submitted
        self._fails = fails

    async def durable(self) -> Receipt:
        """Wait, or fail as planned."""
        if self._submitted is not None:
            await self._submitted.durable()
        if self._fails:
            raise LEDGER_POISONED("the log failed on purpose", effect="unknown")
        return self.receipt


class FaultyLedger:
    """A ledger whose appends fail by plan. plan: the fault of the append with this number, from 0, or None.

    As with a real ledger, the first failed write poisons it: after `undone` and `done` every append is refused until
    `reopened`. Wraps and implements ports.ledger.Ledger.
    """

    def __init__(self, ledger: Ledger, plan: Callable[[int, Entry], Fault | None]) -> None:
        self._ledger = ledger
        self._plan = plan
        self._poisoned = False
        self.appends = 0

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._ledger.origin

    @property
    def size(self) -> int:
        """Number of durable entries."""
        return self._ledger.size

    async def append(self, entry: Entry) -> Receipt:
        """Append, or fail as planned."""
        return await self.submit(entry).durable()

    def submit(self, entry: Entry) -> FaultySubmitted:
        """Submit, or fail as planned: refused at once for lack of room, otherwise while waiting for the disk."""
        if self._poisoned:
            raise LEDGER_POISONED("the log was poisoned on purpose")
        number, self.appends = self.appends, self.appends + 1
        fault = self._plan(number, entry)
        if fault == "full":
            raise LEDGER_FULL("the log is full on purpose")
        self._poisoned = fault is not None
        if fault == "undone":
            receipt = Receipt(index=self._ledger.size, leaf_hash=leaf_hash(entry.leaf))
            return FaultySubmitted(receipt, None, fails=True)
        submitted = self._ledger.submit(entry)
        return FaultySubmitted(submitted.receipt, submitted, fails=self._poisoned)

    async def room(self, entry: Entry) -> None:
        """Wait as the wrapped ledger does."""
        await self._ledger.room(entry)

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        """Return durable entries, including those of failed appends that took effect."""
        return self._ledger.replay(start)

    def entry(self, index: int) -> StoredEntry:
        """Return one durable entry."""
        return self._ledger.entry(index)

    def open_intents(self) -> tuple[StoredEntry, ...]:
        """Return intents without an end, including those of failed appends that took effect."""
        return self._ledger.open_intents()

    def seal(self) -> str:
        """Sign a checkpoint, unless poisoned."""
        if self._poisoned:
            raise LEDGER_POISONED("the log was poisoned on purpose")
        return self._ledger.seal()

    def reopened(self) -> None:
        """Remove the poison, as a restart does that verified the disk."""
        self._poisoned = False
