"""Index in SQLite where logs state policy sets, tools and mandates. Looked up one by one if not cached, so without a
mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import text, whole
from answerable.core.ledger.leaves import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.ports.citation_register import Cited


class SqliteCitationRegister:
    """Port CitationRegister."""

    def __init__(self, store: SqliteStore) -> None:
        self._store, self._reader = store, store.lookup

    def find(self, origin: str, name: Cited) -> Reference | None:
        rows = self._reader.few(
            "SELECT entry, leaf FROM citations WHERE origin = ? AND kind = ? AND name = ?", (origin, *name)
        )
        return Reference(entry=whole(rows[0][0]), leaf=text(rows[0][1])) if rows else None

    def keep(self, origin: str, places: Mapping[Cited, Reference], entries: int) -> None:
        with self._store.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO citations (origin, kind, name, entry, leaf) VALUES (?, ?, ?, ?, ?)",
                [(origin, *name, place.entry, place.leaf) for name, place in places.items()],
            )
            connection.execute("INSERT OR REPLACE INTO citations_kept VALUES (?, ?)", (origin, entries))

    def kept_to(self, origin: str) -> int:
        rows = self._store.rows("SELECT entries FROM citations_kept WHERE origin = ?", (origin,))
        return whole(rows[0][0]) if rows else 0
