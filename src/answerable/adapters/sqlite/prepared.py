"""Store prepared objects in SQLite. No mirror: only preparing and executing actions read them."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import given, octets, text, whole
from answerable.core.action.prepared import KEPT_MS
from answerable.core.action.prepared_form import prepared_body, prepared_in
from answerable.errors.codes.action import PREPARED_DUPLICATE, PREPARED_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.action.prepared import Prepared
    from answerable.core.identity.names.principal import AgentId, UnixMillis

_WHAT: Final = "prepared object"
_COLUMNS: Final = "id, body, content, used_by"
_WAITS: Final = "agent = ? AND used_by = '' AND expires_at > ?"


class SqlitePreparedRegister:
    """Port PreparedRegister. The file decides, so that all processes agree."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def add(self, prepared: Prepared, *, waiting_max: int) -> bool:
        with self._store.write() as connection:
            connection.execute("DELETE FROM prepared WHERE expires_at < ?", (prepared.made_at - KEPT_MS,))
            waiting = connection.execute(
                f"SELECT count(*) FROM prepared WHERE {_WAITS}",  # noqa: S608
                (prepared.agent, prepared.made_at),
            ).fetchone()[0]
            if waiting >= waiting_max:
                return False
            row = (
                prepared.id, prepared.agent, prepared.digest, prepared.expires_at, prepared.used_by,
                prepared_body(prepared), prepared.content.text.encode(),
            )  # fmt: skip
            try:
                connection.execute(
                    "INSERT INTO prepared (id, agent, digest, expires_at, used_by, body, content) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
            except sqlite3.IntegrityError:
                raise PREPARED_DUPLICATE() from None
        return True

    def get(self, identity: str) -> Prepared | None:
        rows = self._store.rows(f"SELECT {_COLUMNS} FROM prepared WHERE id = ?", (identity,))  # noqa: S608
        if not rows:
            return None
        made = self._store.unreadable.made(_WHAT, identity, lambda: _prepared(rows[0]))
        return given(_WHAT, identity, made)

    def named(self, agent: AgentId, digest: str) -> Sequence[Prepared]:
        rows = self._store.rows(
            f"SELECT {_COLUMNS} FROM prepared WHERE agent = ? AND digest = ? ORDER BY number DESC",  # noqa: S608
            (agent, digest),
        )
        return [*self._store.unreadable.each(_WHAT, rows, _prepared)]

    def waiting(self, agent: AgentId, now: UnixMillis) -> int:
        rows = self._store.rows(f"SELECT count(*) FROM prepared WHERE {_WAITS}", (agent, now))  # noqa: S608
        return whole(rows[0][0])

    def use(self, identity: str, *, by: str, now: UnixMillis) -> bool:
        """Use a prepared object. One statement checks and marks it."""
        with self._store.write() as connection:
            row = connection.execute(
                "UPDATE prepared SET used_by = ?, content = x'' WHERE id = ? AND used_by = '' AND expires_at > ? "
                "RETURNING id",
                (by, identity, now),
            ).fetchone()
        return row is not None

    def give_back(self, prepared: Prepared, *, by: str) -> None:
        with self._store.write() as connection:
            connection.execute(
                "UPDATE prepared SET used_by = '', content = ? WHERE id = ? AND used_by = ?",
                (prepared.content.text.encode(), prepared.id, by),
            )


def _prepared(row: tuple[object, ...]) -> Prepared:
    identity, used_by = text(row[0]), text(row[3])
    found = prepared_in(octets(row[1]), octets(row[2]), used_by=used_by)
    if found.id != identity:
        raise PREPARED_MALFORMED("it is of another id")
    return found
