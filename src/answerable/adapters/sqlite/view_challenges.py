"""Store what people have open, in SQLite. No mirror: a caller is about to answer and needs the latest state, including
what another process wrote a moment ago."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import whole
from answerable.core.approval.view_challenges import (
    LOOK_MILLIS_MAX,
    LOOKS_MAX,
    OF_ONE_MAX,
    OF_UNKNOWN_MAX,
    PER_OPENING_MAX,
)
from answerable.core.identity.names.principal import UnixMillis

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.approval.view_challenges import Haste

# Drop the oldest nonce of the person with the most; among equals, of the person who opened first.
_DROP_OF_ABOUT: Final = (
    "DELETE FROM nonces WHERE number = (SELECT min(number) FROM nonces WHERE about = ? GROUP BY who "
    "ORDER BY count(*) DESC, min(number) LIMIT 1)"
)
_DROP_OF_ONE: Final = "DELETE FROM nonces WHERE number = (SELECT min(number) FROM nonces WHERE who = ?)"
_TAKE: Final = (
    "DELETE FROM nonces WHERE digest = ? AND about = ? AND who IN ('', ?) AND ends_at > ? RETURNING at"
)
# `ON CONFLICT DO NOTHING` would use up a number for rows that it skips, and numbers determine which rows are oldest.
_LOOK: Final = (
    "INSERT INTO looks (about, person, at) SELECT ?, ?, ? "
    "WHERE NOT EXISTS (SELECT 1 FROM looks WHERE about = ? AND person = ?)"
)
_CLAIM: Final = (
    "INSERT INTO said (person, kind, what, at, holders) VALUES (?, ?, ?, ?, 1) "
    "ON CONFLICT (person, kind, what) DO UPDATE SET at = max(at, excluded.at), holders = holders + 1"
)


class SqliteOpeningRegister:
    """Port OpeningRegister."""

    def __init__(
        self,
        store: SqliteStore,
        *,
        of_one_max: int = OF_ONE_MAX,
        of_unknown_max: int = OF_UNKNOWN_MAX,
        looks_max: int = LOOKS_MAX,
    ) -> None:
        self._store = store
        self._of_one_max, self._of_unknown_max, self._looks_max = of_one_max, of_unknown_max, looks_max

    def give(self, digest: bytes, *, about: str, to: str, at: UnixMillis, ends: UnixMillis) -> None:
        with self._store.write() as connection:
            connection.execute("DELETE FROM nonces WHERE ends_at <= ?", (at,))
            connection.execute(
                "INSERT INTO nonces (digest, about, who, at, ends_at) VALUES (?, ?, ?, ?, ?)",
                (digest, about, to, at, ends),
            )
            if _count(connection, "SELECT count(*) FROM nonces WHERE about = ?", about) > PER_OPENING_MAX:
                connection.execute(_DROP_OF_ABOUT, (about,))
            most = self._of_one_max if to else self._of_unknown_max
            if _count(connection, "SELECT count(*) FROM nonces WHERE who = ?", to) > most:
                connection.execute(_DROP_OF_ONE, (to,))

    def take(self, digest: bytes, *, about: str, by: str, now: UnixMillis) -> UnixMillis | None:
        with self._store.write() as connection:
            found = connection.execute(_TAKE, (digest, about, by, now)).fetchone()
        return UnixMillis(whole(found[0])) if found is not None else None

    def look(self, things: Sequence[str], person: str, at: UnixMillis) -> None:
        with self._store.write() as connection:
            connection.execute("DELETE FROM looks WHERE at <= ?", (at - LOOK_MILLIS_MAX,))
            connection.executemany(
                _LOOK,
                [(about, person, at, about, person) for about in things],
            )
            connection.execute(
                "DELETE FROM looks WHERE number <= (SELECT max(number) FROM looks) - ?", (self._looks_max,)
            )

    def looked(self, about: str, person: str) -> UnixMillis | None:
        found = self._store.rows("SELECT at FROM looks WHERE about = ? AND person = ?", (about, person))
        return UnixMillis(whole(found[0][0])) if found else None

    def claim(
        self, person: str, kind: Haste, what: str, *, at: UnixMillis, since: UnixMillis, most: int
    ) -> int | None:
        with self._store.write() as connection:
            connection.execute("DELETE FROM said WHERE kind = ? AND at <= ?", (kind, since))
            others = _count(
                connection,
                "SELECT count(*) FROM said WHERE person = ? AND kind = ? AND what <> ?",
                person,
                kind,
                what,
            )
            if others >= most:
                return others
            connection.execute(_CLAIM, (person, kind, what, at))
        return None

    def let_go(self, person: str, kind: Haste, what: str) -> None:
        place = (person, kind, what)
        with self._store.write() as connection:
            connection.execute(
                "UPDATE said SET holders = holders - 1 WHERE person = ? AND kind = ? AND what = ?", place
            )
            connection.execute(
                "DELETE FROM said WHERE person = ? AND kind = ? AND what = ? AND holders < 1", place
            )


def _count(connection: Connection, query: str, *values: str) -> int:
    return whole(connection.execute(query, values).fetchone()[0])
