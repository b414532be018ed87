"""Store prepared objects in SQLite. No mirror: only preparing and executing actions read them."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import given, octets, text
from answerable.core.action.prepared import KEPT_MS, NO_CONTENT
from answerable.core.action.prepared_form import prepared_body, prepared_in
from answerable.errors.codes.action import PREPARED_DUPLICATE, PREPARED_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.action.prepared import Prepared
    from answerable.core.identity.names.principal import AgentId, UnixMillis

_WHAT: Final = "prepared object"
_TABLE: Final = "prepared"
_COLUMNS: Final = "id, body, content, used_by"
_WAITS: Final = "agent = ? AND used_by = '' AND expires_at > ?"
_USED: Final = "UPDATE prepared SET used_by = ?, content = x'' WHERE id = ? AND used_by = ''"


class SqlitePreparedRegister:
    """Port PreparedRegister. Uses are decided in memory, and their rows follow: one process uses what was prepared
    under a mandate. Reads wait for no write."""

    def __init__(self, store: SqliteStore) -> None:
        self._store, self._reader = store, store.lookup
        self._using = threading.Lock()

    def add(self, prepared: Prepared, *, waiting_max: int) -> bool:
        with self._store.uses.write() as connection:
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
        used = self._store.uses.claimed(_TABLE)
        rows = self._reader.few(f"SELECT {_COLUMNS} FROM prepared WHERE id = ?", (identity,))  # noqa: S608
        if not rows:
            return None
        made = self._store.unreadable.made(_WHAT, identity, lambda: _prepared(rows[0]))
        return _as_used(given(_WHAT, identity, made), used)

    def named(self, agent: AgentId, digest: str) -> Sequence[Prepared]:
        used = self._store.uses.claimed(_TABLE)
        rows = self._reader.few(
            f"SELECT {_COLUMNS} FROM prepared WHERE agent = ? AND digest = ? ORDER BY number DESC",  # noqa: S608
            (agent, digest),
        )
        return [_as_used(one, used) for one in self._store.unreadable.each(_WHAT, rows, _prepared)]

    def waiting(self, agent: AgentId, now: UnixMillis) -> int:
        used = self._store.uses.claimed(_TABLE)
        rows = self._reader.few(f"SELECT id FROM prepared WHERE {_WAITS}", (agent, now))  # noqa: S608
        return sum(row[0] not in used for row in rows)

    def use(self, identity: str, *, by: str, now: UnixMillis) -> bool:
        with self._using:
            if identity in self._store.uses.claimed(_TABLE):
                return False
            query = "SELECT 1 FROM prepared WHERE id = ? AND used_by = '' AND expires_at > ?"
            if not self._reader.few(query, (identity, now)):
                return False
            self._store.uses.claim((_TABLE, identity), _USED, (by, identity), by=by)
        return True

    def deciding(self) -> AbstractContextManager[object]:
        return self._store.uses.deciding()

    def give_back(self, identity: str, *, by: str) -> None:
        with self._using:
            if self._store.uses.claimed(_TABLE).get(identity) == by:
                self._store.uses.release((_TABLE, identity))

    def keep_use(self, identity: str) -> None:
        self._store.uses.follow()


def _as_used(prepared: Prepared, used: Mapping[str, str]) -> Prepared:
    """Return the object as its row will be."""
    by = used.get(prepared.id, "")
    return replace(prepared, used_by=by, content=NO_CONTENT) if by else prepared


def _prepared(row: tuple[object, ...]) -> Prepared:
    identity, used_by = text(row[0]), text(row[3])
    found = prepared_in(octets(row[1]), octets(row[2]), used_by=used_by)
    if found.id != identity:
        raise PREPARED_MALFORMED("it is of another id")
    return found
