"""Store the counts of trackers in SQLite. They are read once at a start; decisions use the counts in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import text, whole
from answerable.core.decision.tally import encoded
from answerable.ports.history_register import KeptHistory

if TYPE_CHECKING:
    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.decision.history import HistoryState


class SqliteHistoryRegister:
    """Port HistoryRegister."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def keep(self, origin: str, state: HistoryState) -> None:
        gone = [(origin, *place) for place, cell in state.places.items() if cell is None]
        there = [(origin, *place, encoded(cell)) for place, cell in state.places.items() if cell is not None]
        with self._store.write() as connection:
            kept = connection.execute(
                "SELECT tracker FROM history_kept WHERE origin = ?", (origin,)
            ).fetchall()
            for tracker in ({text(row[0]) for row in kept} - state.trackers) | state.fresh:
                connection.execute("DELETE FROM history WHERE origin = ? AND tracker = ?", (origin, tracker))
            connection.executemany(
                "DELETE FROM history WHERE origin = ? AND tracker = ? AND owner = ? AND resource = ?", gone
            )
            connection.executemany(
                "INSERT OR REPLACE INTO history (origin, tracker, owner, resource, state) VALUES (?, ?, ?, ?, ?)",
                there,
            )
            connection.execute("DELETE FROM history_kept WHERE origin = ?", (origin,))
            connection.executemany(
                "INSERT INTO history_kept (origin, tracker, entries) VALUES (?, ?, ?)",
                [(origin, tracker, state.entries) for tracker in sorted(state.trackers)],
            )

    def kept(self, origin: str) -> KeptHistory:
        entries = self._store.rows("SELECT tracker, entries FROM history_kept WHERE origin = ?", (origin,))
        places = self._store.rows(
            "SELECT tracker, owner, resource, state FROM history WHERE origin = ?", (origin,)
        )
        return KeptHistory(
            entries={text(tracker): whole(count) for tracker, count in entries},
            places={
                (text(tracker), text(owner), text(resource)): kept if isinstance(kept, bytes) else b""
                for tracker, owner, resource, kept in places
            },
        )
