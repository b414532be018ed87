"""Port: registers as projections of the ledger, each with its position: up to which entry of which log the register is
complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.projected import Position, Told, World


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A change in a ledger entry that a register did not apply. code: the reason, as an error code."""

    register: str
    row: str
    log: str
    entry: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """Result of a flush. rows: number of rows changed, by register. left_out: changes that were not applied."""

    rows: Mapping[str, int]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that differs from what the ledger says. beyond: no ledger entry mentions the row at all."""

    register: str
    row: str
    beyond: bool


class Projections(Protocol):
    """The registers of one file. Promises: rows and positions are on stable storage together or not at all; a position
    moves only after a comparison, so that of several processes exactly one applies each entry; applying an entry twice
    changes nothing, and nothing that has ended is opened again.

    Raises only Unavailable (`register.*`), and Broken as `flush` says.
    """

    def positions(self, log: str) -> Mapping[str, Position]:
        """Return the position of each register, by its name."""
        ...

    def world(self) -> World:
        """Return the documents and passkeys in the file, except rows whose name cannot be read."""
        ...

    def damaged_documents(self) -> Sequence[str]:
        """Return the names of the unreadable documents, as far as they have a name."""
        ...

    def wants(self, stored: StoredEntry) -> bool:
        """Whether the entry contains anything that these registers store, as far as can be said without decoding it."""
        ...

    def flush(
        self, told: Sequence[Told], reached: Mapping[str, Position], *, is_older: bool = False
    ) -> Flushed:
        """Write the changes of these entries and the positions reached in each log, in one transaction. Where a row
        changes, or is_older, also delete the rows that no entry mentions: nonces, unused join tokens, devices."""
        ...

    def confirm(self, told: Sequence[Told], reached: Mapping[str, Position]) -> bool:
        """Advance the positions if the rows already are as these entries say. Otherwise change nothing and return
        False."""
        ...

    def touched(self) -> frozenset[str]:
        """Return the registers that were written by something other than this projection."""
        ...

    def altered(self) -> Sequence[str]:
        """Return the registers outside these projections that were written by something else. They are returned until
        `cleared`."""
        ...

    def emptied(self, registers: Collection[str], own: str) -> None:
        """Delete the rows of altered registers that grant something, and what was counted of the log `own`. What the
        ledger says is restored later by other readers."""
        ...

    def cleared(self) -> None:
        """Note that everything matches the ledger again: no register counts as externally written any more."""
        ...

    def rebuilding(self) -> AbstractContextManager[Rebuilding]:
        """Create empty registers of the same kind, to be filled from the whole ledger; deleted when the block ends."""
        ...


class Rebuilding(Projections, Protocol):
    """Registers built from the whole ledger, to be compared with the live ones."""

    def differences(self) -> Sequence[Difference]:
        """Return the live rows that differ from these. A row that has ended only in the live registers is no
        difference."""
        ...

    def mend(self, differences: Sequence[Difference]) -> None:
        """Overwrite these live rows with the rebuilt ones; whatever has ended stays ended. Afterwards no register
        counts as externally written, and no unreadable document is left."""
        ...
