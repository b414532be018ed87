"""Store join tokens in SQLite: their digests, what they grant, and whether they were used."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import given, octets, text, whole
from answerable.adapters.sqlite.unreadable import named
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import UnixMillis, agent_id
from answerable.core.identity.workload.join_token import TOKENS_MAX, JoinToken
from answerable.errors.codes.documents import JSON_TYPE
from answerable.errors.codes.workloads import JOIN_TOKEN_DUPLICATE, JOIN_TOKEN_FULL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.adapters.sqlite.store import SqliteStore

_COLUMNS = "digest, name, agent, selectors, created_at, expires_at, used_at"


_WHAT: Final = "join token"


class SqliteJoinTokens:
    """Port JoinTokens. Reads go to the file: tokens are rarely used, and by any process."""

    def __init__(self, store: SqliteStore, *, tokens_max: int = TOKENS_MAX) -> None:
        self._store = store
        store.unreadable.look_at(self.all)
        self._tokens_max = tokens_max

    def add(self, token: JoinToken) -> None:
        row = (
            token.digest,
            token.name,
            token.agent,
            encode(list(token.selectors)),
            token.created_at,
            token.expires_at,
        )
        with self._store.write() as connection:
            kept = connection.execute("SELECT count(*) FROM join_tokens").fetchone()[0]
            if kept >= self._tokens_max:
                raise JOIN_TOKEN_FULL(
                    f"there are {self._tokens_max} join tokens, which is the limit: wait until some expire"
                )
            try:
                connection.execute(
                    "INSERT INTO join_tokens (digest, name, agent, selectors, created_at, expires_at) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                )
            except sqlite3.IntegrityError:
                raise JOIN_TOKEN_DUPLICATE("this join token is registered already") from None

    def consume(self, digest: bytes, *, now: UnixMillis) -> JoinToken | None:
        """Use a token. One statement checks and marks it, in a transaction that is durable on return."""
        with self._store.write() as connection:
            row = connection.execute(
                "UPDATE join_tokens SET used_at = ? WHERE digest = ? AND used_at IS NULL AND created_at <= ? "  # noqa: S608 - our own columns
                f"RETURNING {_COLUMNS}",
                (now, digest, now),
            ).fetchone()
        found = None if row is None else self._made(row)
        return None if found is None or now >= found.expires_at else found

    def all(self) -> Iterable[JoinToken]:
        query = f"SELECT {_COLUMNS} FROM join_tokens ORDER BY number DESC"  # noqa: S608 - our own columns
        return tuple(self._store.unreadable.each(_WHAT, self._store.rows(query), _token, 1, 0))

    def _made(self, row: tuple[object, ...]) -> JoinToken:
        made = next(self._store.unreadable.each(_WHAT, (row,), _token, 1, 0), None)
        return given(_WHAT, named(row[1]), made)

    def forget(self, *, before: UnixMillis) -> int:
        with self._store.write() as connection:
            return connection.execute("DELETE FROM join_tokens WHERE expires_at < ?", (before,)).rowcount


def _token(row: tuple[object, ...]) -> JoinToken:
    selectors = parse(octets(row[3]))
    if not isinstance(selectors, list):
        raise JSON_TYPE("its selectors are no list")
    return JoinToken(
        digest=octets(row[0]),
        name=text(row[1]),
        agent=agent_id(text(row[2])),
        selectors=tuple(text(one) for one in selectors),
        created_at=UnixMillis(whole(row[4])),
        expires_at=UnixMillis(whole(row[5])),
        used_at=None if row[6] is None else UnixMillis(whole(row[6])),
    )
