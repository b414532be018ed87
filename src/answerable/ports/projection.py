"""Port: registers as projections of the ledger, with their positions: up to which entry of which log each is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.projected import Position, Told, World


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What an entry would have put into force and did not. code: why, as errors are named."""

    register: str
    row: str
    log: str
    entry: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """rows: that changed, by register. left_out: as `LeftOut` says."""

    rows: Mapping[str, int]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not as the ledger says. beyond: no entry speaks of it at all."""

    register: str
    row: str
    beyond: bool


class Projections(Protocol):
    """The registers of one file. Promises: rows and positions are on stable storage together or not at all; positions
    are compared where they are moved on, so that of several processes each entry is applied by one; an entry that is
    applied twice changes nothing, and nothing that has ended is opened again.

    Raises only Unavailable (`register.*`), and Broken as `flush` says.
    """

    def positions(self, log: str) -> Mapping[str, Position]:
        """Of each register, by its name."""
        ...

    def world(self) -> World:
        """Documents and passkeys as the file has them, but for what has no name that can be read."""
        ...

    def damaged_documents(self) -> Sequence[str]:
        """The names of those documents that cannot be read, as far as they have one."""
        ...

    def wants(self, stored: StoredEntry) -> bool:
        """Whether the entry says anything that is kept here, as far as can be said without reading it."""
        ...

    def flush(
        self, told: Sequence[Told], reached: Mapping[str, Position], *, is_older: bool = False
    ) -> Flushed:
        """Write what the entries change and where each log was read to, in one transaction. Where a row changes, or
        is_older, what no entry speaks of goes with it: nonces, unused join tokens, devices."""
        ...

    def confirm(self, told: Sequence[Told], reached: Mapping[str, Position]) -> bool:
        """Move the positions on if the rows are as these entries say already; else nothing changes, and False."""
        ...

    def touched(self) -> frozenset[str]:
        """Registers of which something was written by other hands than these."""
        ...

    def suspect(self, own: str) -> Sequence[str]:
        """Registers beside these, which are recalled from the ledger, of which something was written by other hands.
        What gives somebody something is taken out of them, and what was counted of the log `own`. They are named
        until `cleared`."""
        ...

    def cleared(self) -> None:
        """All is as the ledger says again: nothing counts as written by other hands any more."""
        ...

    def rebuilding(self) -> AbstractContextManager[Rebuilding]:
        """Others of the same kind that know nothing yet, to be filled from the whole ledger; gone afterwards."""
        ...


class Rebuilding(Projections, Protocol):
    """Registers made from the whole ledger, beside those that they are compared with."""

    def differences(self) -> Sequence[Difference]:
        """Rows of those that are not as these are; one that has ended there alone is none."""
        ...

    def mend(self, differences: Sequence[Difference]) -> None:
        """Make these rows of those as they are here; what has ended stays so. Nothing is touched any more then, and
        no document is left that cannot be read."""
        ...
