"""Rows that were written and cannot be read back: each puts what it is about out of use, and nothing beside it."""

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
    """what: a kind of row, such as `approval`. name: which, as its own column says. why: one line, never a secret."""

    what: str
    name: str
    why: str


class UnreadableRows:
    """Those of one register file, as far as somebody has looked. From any thread.

    Law: a register that leaves a row out says itself what follows for its subject, which is never that it may do more.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], str] = {}
        self._looks: list[Callable[[], object]] = []

    def all(self) -> tuple[UnreadableRow, ...]:
        """What is known, in order of kind and name."""
        return tuple(UnreadableRow(*place, why) for place, why in sorted(self._rows.items()))

    def looked_up(self) -> tuple[UnreadableRow, ...]:
        """The same, after a look at the rows that are read only when somebody asks. Raises Unavailable."""
        for look in self._looks:
            look()
        return self.all()

    def look_at(self, look: Callable[[], object]) -> None:
        """Let `looked_up` read these rows, too."""
        self._looks.append(look)

    def has(self, what: str, name: str) -> bool:
        """Whether this row is known to be unreadable. Without I/O."""
        return (what, name) in self._rows

    def made(self, what: str, name: str, make: Callable[[], T]) -> T | None:
        """What a row is, or None for one that cannot be read, which is known from then on."""
        try:
            made = make()
        # Whatever goes wrong in reading one row, a fault of ours, too, must not take the others with it.
        except Exception as fault:
            # What another library says may hold the content of the row.
            why = fault.message if isinstance(fault, AnswerableError) else type(fault).__name__
            if self._rows.get((what, name)) != why:
                self._rows[what, name] = why
                _log.error("%s %s cannot be read and is out of use: %s", what, shown(name), why)
            return None
        self._rows.pop((what, name), None)
        return made

    def each(self, what: str, rows: Iterable[Row], make: Callable[[Row], T], *names: int) -> Iterator[T]:
        """Those of a list that can be read, in order. names: numbers of the columns that together name one row of
        these, and no other; the first where none is said."""
        for row in rows:
            name = " ".join(named(row[one]) for one in names or (0,))
            made = self.made(what, name, partial(make, row))
            if made is not None:
                yield made


def named(value: object) -> str:
    """How a column names its row, whatever stands in it."""
    return value.hex() if isinstance(value, bytes) else str(value)


def fetched(
    connection: sqlite3.Connection, query: str, values: tuple[object, ...]
) -> list[tuple[object, ...]]:
    """All rows. Bytes that are no UTF-8 in a column of text spoil that column, not the list."""
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
