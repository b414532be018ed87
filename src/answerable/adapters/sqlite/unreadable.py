"""Track stored rows that cannot be decoded: each puts only its own subject out of use."""

from __future__ import annotations

import logging
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from answerable.errors import AnswerableError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
Row = tuple[object, ...]
_log = logging.getLogger(__name__)


class UnreadableRow(NamedTuple):
    """An undecodable row. what: a kind of row, such as `approval`. name: the row's name, from its own column. why: one
    line, never a secret."""

    what: str
    name: str
    why: str


class UnreadableRows:
    """The unreadable rows of one register file that have been found so far. Thread-safe.

    Law: a register that leaves a row out decides the effect on the row's subject, which never gains rights by it.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], str] = {}
        self._looks: list[Callable[[], object]] = []

    def all(self) -> tuple[UnreadableRow, ...]:
        """Return the known unreadable rows, in order of kind and name."""
        return tuple(UnreadableRow(*place, why) for place, why in sorted(self._rows.items()))

    def looked_up(self) -> tuple[UnreadableRow, ...]:
        """Return the same, after reading the rows that are otherwise read only on demand. Raises Unavailable."""
        for look in self._looks:
            look()
        return self.all()

    def look_at(self, look: Callable[[], object]) -> None:
        """Register a read that `looked_up` performs, too."""
        self._looks.append(look)

    def has(self, what: str, name: str) -> bool:
        """Whether this row is known to be unreadable. No I/O."""
        return (what, name) in self._rows

    def made(self, what: str, name: str, make: Callable[[], T]) -> T | None:
        """Decode a row. Return None if that fails, and remember the row as unreadable."""
        try:
            made = make()
        # No fault in decoding one row, a programming error included, may affect the other rows.
        except Exception as fault:
            # Another library's message may contain the row's content.
            why = fault.message if isinstance(fault, AnswerableError) else type(fault).__name__
            if self._rows.get((what, name)) != why:
                self._rows[what, name] = why
                _log.error("%s %s cannot be read and is out of use: %s", what, shown(name), why)
            return None
        self._rows.pop((what, name), None)
        return made

    def each(self, what: str, rows: Iterable[Row], make: Callable[[Row], T], *names: int) -> Iterator[T]:
        """Yield the decodable rows of a list, in order. names: numbers of the columns that together identify a row; by
        default the first column."""
        for row in rows:
            name = " ".join(named(row[one]) for one in names or (0,))
            made = self.made(what, name, partial(make, row))
            if made is not None:
                yield made


def named(value: object) -> str:
    """Convert a naming column of any type to text."""
    return value.hex() if isinstance(value, bytes) else str(value)


def fetched(
    connection: sqlite3.Connection, query: str, values: tuple[object, ...]
) -> list[tuple[object, ...]]:
    """Return all rows. Bytes that are not UTF-8 in a text column affect that column only, not the list."""
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            raise
    connection.text_factory = _decoded
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.text_factory = str


def _decoded(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
