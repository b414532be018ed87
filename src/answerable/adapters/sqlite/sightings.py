"""Store sightings in SQLite. Reads go to the file, since only the inventory needs them, so there is no mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from answerable.adapters.sqlite.columns import text, whole
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.workload.evidence import Grade
from answerable.core.registry.snapshot.discovered_asset import (
    COUNT_MAX,
    OTHERS,
    SIGHTINGS_MAX,
    SOURCE_MAX,
    Sighting,
    SightingKind,
)
from answerable.errors.codes.ledger import REGISTER_CORRUPT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from answerable.adapters.sqlite.store import SqliteStore


_COLUMNS: Final = "kind, name, source, grade, how, direct, first, last, count"
_MERGE: Final = (
    f"INSERT INTO inventory ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - our own columns
    "ON CONFLICT (kind, name, source) DO UPDATE SET first = min(first, excluded.first), "
    "grade = iif(excluded.last >= last, excluded.grade, grade), how = iif(excluded.last >= last, excluded.how, how), "
    "direct = iif(excluded.last >= last, excluded.direct, direct), last = max(last, excluded.last), "
    f"count = min({COUNT_MAX}, count + excluded.count)"
)
_FAIR_SHARE: Final = (
    "DELETE FROM inventory WHERE rowid IN (SELECT rowid FROM (SELECT rowid, last, row_number() OVER "
    "(PARTITION BY source ORDER BY last DESC, rowid DESC) AS rank FROM inventory) "
    "ORDER BY rank, last DESC, rowid DESC LIMIT -1 OFFSET ?)"
)
"""Keeps the latest sighting of each source, then the second latest of each, and so on, up to the limit."""


class SqliteSightings:
    """Port Sightings."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        store.unreadable.look_at(self.all)

    def keep(self, seen: Iterable[Sighting], *, gone: Iterable[tuple[SightingKind, str]] = ()) -> None:
        batch, left = [*seen], [*gone]
        if not batch and not left:
            return
        with self._store.write() as connection:
            connection.executemany("DELETE FROM inventory WHERE kind = ? AND name = ?", left)
            connection.executemany(_MERGE, [_row(one) for one in batch])
            for source in {one.source for one in batch}:
                _bound(connection, source)
            if connection.execute("SELECT count(*) FROM inventory").fetchone()[0] > SIGHTINGS_MAX:
                connection.execute(_FAIR_SHARE, (SIGHTINGS_MAX,))

    def all(self) -> Iterable[Sighting]:
        rows = self._store.rows(f"SELECT {_COLUMNS} FROM inventory ORDER BY last DESC, rowid DESC")  # noqa: S608 - our own columns
        return tuple(self._store.unreadable.each("sighting of", rows, _sighting, 0, 1, 2))

    def forget_source(self, source: str) -> None:
        with self._store.write() as connection:
            connection.execute("DELETE FROM inventory WHERE source = ?", (source,))


def _bound(connection: sqlite3.Connection, source: str) -> None:
    """Merge the sightings beyond one source's limit into its nameless count."""
    dropped = connection.execute(
        "DELETE FROM inventory WHERE rowid IN (SELECT rowid FROM inventory WHERE source = ? AND name <> ? "  # noqa: S608 - our own columns
        f"ORDER BY last DESC, rowid DESC LIMIT -1 OFFSET ?) RETURNING {_COLUMNS}",
        (source, OTHERS, SOURCE_MAX),
    ).fetchall()
    connection.executemany(_MERGE, [_row(_sighting(row).as_other()) for row in dropped])


def _row(one: Sighting) -> tuple[object, ...]:
    return (
        one.kind, one.name, one.source, one.grade, one.how, int(one.direct), one.first, one.last, one.count,
    )  # fmt: skip


def _sighting(row: tuple[object, ...]) -> Sighting:
    kind, name, source, grade, how, direct, first, last, count = row
    return Sighting(
        kind=_kind(kind),
        name=text(name),
        source=text(source),
        grade=_grade(grade),
        how=text(how),
        direct=bool(whole(direct)),
        first=UnixMillis(whole(first)),
        last=UnixMillis(whole(last)),
        count=whole(count),
    )


def _kind(value: object) -> SightingKind:
    kinds: tuple[SightingKind, ...] = get_args(SightingKind)
    for kind in kinds:
        if kind == value:
            return kind
    raise REGISTER_CORRUPT("a sighting in the register file has no kind")


def _grade(value: object) -> Grade:
    grades: tuple[Grade, ...] = get_args(Grade)
    for grade in grades:
        if grade == value:
            return grade
    raise REGISTER_CORRUPT("a sighting in the register file has no grade")
