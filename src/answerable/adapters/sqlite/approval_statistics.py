"""Store statistics counted from logs, in SQLite. They are read at a start, and those of other logs on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.ports.figures_register import KeptFigures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.adapters.sqlite.store import SqliteStore


class SqliteFiguresRegister:
    """Port FiguresRegister."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def keep(
        self,
        origin: str,
        changed: Mapping[str, bytes | None],
        *,
        entries: int,
        form: int,
        at: int,
        beside: bytes,
        anew: bool,
    ) -> None:
        gone = [(origin, name) for name, row in changed.items() if row is None]
        there = [(origin, name, row) for name, row in changed.items() if row is not None]
        with self._store.write() as connection:
            if anew:
                connection.execute("DELETE FROM figures WHERE origin = ?", (origin,))
            connection.executemany("DELETE FROM figures WHERE origin = ? AND name = ?", gone)
            connection.executemany(
                "INSERT OR REPLACE INTO figures (origin, name, state) VALUES (?, ?, ?)", there
            )
            connection.execute(
                "INSERT OR REPLACE INTO figures_kept (origin, entries, form, at, beside) VALUES (?, ?, ?, ?, ?)",
                (origin, entries, form, at, beside),
            )

    def kept(self, origin: str) -> KeptFigures | None:
        """Return the stored statistics. A single query, so that all rows are of one state."""
        found = self._store.rows(
            """SELECT entries, form, at, beside, name, state FROM figures_kept
                LEFT JOIN figures USING (origin) WHERE origin = ?""",
            (origin,),
        )
        if not found:
            return None
        entries, form, at, beside, _, _ = found[0]
        return KeptFigures(
            entries=whole(entries),
            form=whole(form),
            at=whole(at),
            rows={text(name): octets(state) for *_, name, state in found if name is not None},
            beside=octets(beside),
        )

    def origins(self) -> tuple[str, ...]:
        rows = self._store.rows("SELECT origin FROM figures_kept ORDER BY origin")
        return tuple(text(row[0]) for row in rows)
