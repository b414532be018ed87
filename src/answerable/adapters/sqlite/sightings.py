"""Sightings in SQLite. Read from the file whenever somebody asks for the inventory, so there is no mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from answerable.adapters.sqlite.columns import text, whole
from answerable.adapters.sqlite.store import PORT
from answerable.core.identity.principal import UnixMillis
from answerable.core.registry.sighting import SIGHTINGS_MAX, Sighting, SightingKind
from answerable.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.adapters.sqlite.store import SqliteStore


class SqliteSightings:
    """Port Sightings."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def keep(self, seen: Iterable[Sighting]) -> None:
        """As the port says."""
        rows = [(one.kind, one.name, one.first, one.last, one.count) for one in seen]
        if not rows:
            return
        with self._store.write() as connection:
            connection.executemany(
                "INSERT INTO sightings (kind, name, first, last, count) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (kind, name) DO UPDATE SET first = min(first, excluded.first), "
                "last = max(last, excluded.last), count = min(9007199254740991, count + excluded.count)",
                rows,
            )
            connection.execute(
                "DELETE FROM sightings WHERE rowid IN "
                "(SELECT rowid FROM sightings ORDER BY last DESC, rowid DESC LIMIT -1 OFFSET ?)",
                (SIGHTINGS_MAX,),
            )

    def all(self) -> Iterable[Sighting]:
        """As the port says."""
        rows = self._store.rows(
            "SELECT kind, name, first, last, count FROM sightings ORDER BY last DESC, rowid DESC"
        )
        return tuple(
            Sighting(
                kind=_kind(kind),
                name=text(name),
                first=UnixMillis(whole(first)),
                last=UnixMillis(whole(last)),
                count=whole(count),
            )
            for kind, name, first, last, count in rows
        )

    def forget(self, kind: SightingKind, name: str) -> bool:
        """As the port says."""
        with self._store.write() as connection:
            dropped = connection.execute(
                "DELETE FROM sightings WHERE kind = ? AND name = ?", (kind, name)
            ).rowcount
        return dropped == 1


def _kind(value: object) -> SightingKind:
    kinds: tuple[SightingKind, ...] = get_args(SightingKind)
    for kind in kinds:
        if kind == value:
            return kind
    raise Unavailable("a sighting in the register file has no kind", code="register.corrupt", port=PORT)
