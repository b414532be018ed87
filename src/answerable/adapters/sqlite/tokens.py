"""Store issued tokens in SQLite: rows on disk without a mirror, so that a million live tokens cost no memory."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.mandate.issued_token import IssuedToken, StatusPlace
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.mandate.status_list import INVALID, with_status
from answerable.core.mandate.status_places import (
    TOKENS_PER_LIST_MAX,
    decoys,
    drawn_places,
)
from answerable.errors import shown
from answerable.errors.codes.mandate import STATUS_NO_LIST
from answerable.errors.codes.tokens import TOKEN_DUPLICATE, TOKEN_PARENT
from answerable.ports.token_register import SUBTREE_ANSWER_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.ports.entropy import Entropy

_COLUMNS: Final = (
    "tokens.jti, (SELECT above.jti FROM tokens AS above WHERE above.number = tokens.parent), tokens.par_hash, "
    "tokens.mandate, tokens.agent, tokens.key, tokens.manifest, tokens.trust_domain, tokens.expires_at, tokens.list, "
    "tokens.place, tokens.instance, (SELECT json_group_array(json_array(kind, name)) FROM token_names "
    "WHERE token_names.token = tokens.number)"
)
_INSERT: Final = (
    "INSERT INTO tokens (jti, parent, par_hash, mandate, agent, key, manifest, trust_domain, expires_at, list, place, "
    "instance, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
)
_INSERT_NAME: Final = "INSERT INTO token_names (kind, name, token) VALUES (?, ?, ?)"
_KNOWN: Final = "SELECT 1 FROM tokens WHERE jti = ? OR (list = ? AND place = ?)"
_BY_KIND: Final[dict[str, str]] = {
    "token": "jti",
    "hop": "par_hash",
    "mandate": "mandate",
    "agent": "agent",
    "key": "key",
    "manifest": "manifest",
    "trust_domain": "trust_domain",
}
"""Columns by the kind of name they hold. The caller resolves names of other kinds: tokens do not contain them."""

_NAMED: Final = "SELECT number FROM tokens WHERE {column} IN (SELECT value FROM json_each(?))"
_THROUGH: Final = (
    "SELECT token FROM json_each(?) AS asked CROSS JOIN token_names "
    "ON kind = json_extract(asked.value, '$[0]') AND name = json_extract(asked.value, '$[1]')"
)
# `0` is the character after `/`: the range covers exactly the ids below the name.
_INSTANCES: Final = (
    "SELECT number FROM json_each(?) AS asked CROSS JOIN tokens ON tokens.instance = asked.value "
    "WHERE tokens.instance <> ''",
    "SELECT number FROM json_each(?) AS asked CROSS JOIN tokens ON tokens.instance > asked.value || '/' "
    "AND tokens.instance < asked.value || '0' WHERE tokens.instance <> ''",
    "SELECT token FROM json_each(?) AS asked CROSS JOIN token_names ON kind = 'agent' AND name > asked.value || '/' "
    "AND name < asked.value || '0'",
)
"""Tokens of an instance and of its sub-agents, and tokens derived through one of its sub-agents."""

_END: Final = "UPDATE tokens SET ended = 1 WHERE ended = 0 AND number IN ({family} SELECT number FROM family)"
_COUNT: Final = "SELECT count(*) FROM family"
_FIRST: Final = (
    f"SELECT {_COLUMNS} FROM tokens WHERE number IN (SELECT number FROM family) ORDER BY number LIMIT ?"  # noqa: S608
)

_OLD: Final = "SELECT number FROM tokens WHERE expires_at < ? ORDER BY expires_at, number DESC LIMIT ?"
_FORGET: Final = "DELETE FROM tokens WHERE number IN (SELECT value FROM json_each(?))"
_FORGET_NAMES: Final = "DELETE FROM token_names WHERE token IN (SELECT value FROM json_each(?))"

_FAMILY: Final = (
    "WITH RECURSIVE chosen(number) AS ({chosen}), family(number) AS (SELECT number FROM chosen UNION "
    "SELECT tokens.number FROM family JOIN tokens ON tokens.parent = family.number WHERE tokens.parent IS NOT NULL) "
)
"""A child's number is greater than its parent's, so a subtree in order of numbers starts with its roots."""


class SqliteTokenRegister:
    """Port TokenRegister. Blocking: called in a worker thread, except `find` and `has_ended`, which look up one row."""

    def __init__(self, store: SqliteStore, *, entropy: Entropy) -> None:
        """Raises Unavailable (`register.unavailable`)."""
        self._store, self._entropy = store, entropy
        # Long reads over a connection of their own: others' reads and writes do not wait for them. Its files are opened
        # now: a stop reads what is below a token, also when no file can be opened any more.
        self._lookup, self._reader = store.lookup, store.reader()
        self._reader.version()

    def add(self, tokens: Iterable[IssuedToken]) -> None:
        with self._store.write() as connection:
            for one in tokens:
                parent = self._parent(connection, one) if one.parent else None
                try:
                    _insert(connection, one, parent)
                except sqlite3.IntegrityError:
                    message = f"token {shown(one.jti)} or its place in a status list is registered already"
                    raise TOKEN_DUPLICATE(message) from None

    def restore(self, tokens: Iterable[IssuedToken]) -> int:
        places: dict[int, list[int]] = {}
        with self._store.write() as connection:
            for one in tokens:
                number, place = one.place.list_number, one.place.index
                if connection.execute(_KNOWN, (one.jti, number, place)).fetchone() is not None:
                    continue
                above = connection.execute(
                    "SELECT number FROM tokens WHERE jti = ?", (one.parent,)
                ).fetchone()
                _insert(connection, one, above[0] if above is not None else None)
                places.setdefault(number, []).append(place)
            for number, taken in sorted(places.items()):
                self._take_back(connection, number, taken)
        return sum(map(len, places.values()))

    def find(self, jti: str) -> IssuedToken | None:
        rows = self._lookup.few(f"SELECT {_COLUMNS} FROM tokens WHERE jti = ?", (jti,))  # noqa: S608
        return _token(rows[0]) if rows else None

    def has_ended(self, jti: str) -> bool:
        rows = self._lookup.few("SELECT ended FROM tokens WHERE jti = ?", (jti,))
        return not rows or bool(rows[0][0])

    def end(self, names: Collection[RevocationTarget]) -> int:
        family, values = _family(names)
        if not values:
            return 0
        with self._store.write() as connection:
            return connection.execute(_END.format(family=family), values).rowcount

    def subtree(self, names: Collection[RevocationTarget]) -> tuple[int, Sequence[IssuedToken]]:
        family, values = _family(names)
        if not values:
            return 0, ()
        count = whole(self._reader.rows(family + _COUNT, values)[0][0])
        rows = self._reader.rows(family + _FIRST, (*values, SUBTREE_ANSWER_MAX))
        return count, tuple(_token(row) for row in rows)

    def statuses(self, list_number: int) -> bytes:
        lists = self._reader.rows("SELECT decoys FROM status_lists WHERE number = ?", (list_number,))
        if not lists:
            raise STATUS_NO_LIST(f"there is no status list {list_number}")
        found = bytearray(octets(lists[0][0]))
        rows = self._reader.rows("SELECT place FROM tokens WHERE list = ? AND ended = 1", (list_number,))
        with_status(found, bits=1, indexes=(whole(row[0]) for row in rows), status=INVALID)
        return bytes(found)

    def take_places(self, count: int) -> Sequence[StatusPlace]:
        found: list[StatusPlace] = []
        with self._store.write() as connection:
            while len(found) < count:
                number, taken, given = self._open_list(connection)
                wanted = min(count - len(found), TOKENS_PER_LIST_MAX - given)
                drawn = drawn_places(taken, wanted, self._entropy.bytes)
                connection.execute(
                    "UPDATE status_lists SET taken = ?, given = ? WHERE number = ?",
                    (bytes(taken), given + wanted, number),
                )
                found += (StatusPlace(list_number=number, index=one) for one in drawn)
        return tuple(found)

    def prune(self, *, before: UnixMillis, count_max: int) -> int:
        """Delete expired tokens. A child never outlives its parent, so no child is left without one."""
        with self._store.write() as connection:
            old = json.dumps([row[0] for row in connection.execute(_OLD, (before, count_max))])
            connection.execute(_FORGET_NAMES, (old,))
            return connection.execute(_FORGET, (old,)).rowcount

    def _parent(self, connection: sqlite3.Connection, token: IssuedToken) -> int:
        row = connection.execute(
            "SELECT number, ended, expires_at FROM tokens WHERE jti = ?", (token.parent,)
        ).fetchone()
        if row is None or row[1]:
            raise TOKEN_PARENT(f"the parent of token {shown(token.jti)} is not known or has ended")
        if token.expires_at > whole(row[2]):
            raise TOKEN_PARENT(f"token {shown(token.jti)} would outlive its parent")
        return whole(row[0])

    def _take_back(self, connection: sqlite3.Connection, number: int, places: list[int]) -> None:
        """Mark places of a list as taken and valid again. The list is created if it does not exist."""
        newest = whole(connection.execute("SELECT coalesce(max(number), 0) FROM status_lists").fetchone()[0])
        for missing in range(newest + 1, number + 1):
            self._begin_list(connection, missing)
        row = connection.execute(
            "SELECT decoys, taken FROM status_lists WHERE number = ?", (number,)
        ).fetchone()
        nobodys, taken = bytearray(octets(row[0])), bytearray(octets(row[1]))
        for place in places:
            nobodys[place >> 3] &= ~(1 << (place & 7))
            taken[place >> 3] |= 1 << (place & 7)
        connection.execute(
            "UPDATE status_lists SET decoys = ?, taken = ?, given = given + ? WHERE number = ?",
            (bytes(nobodys), bytes(taken), len(places), number),
        )

    def _begin_list(self, connection: sqlite3.Connection, number: int) -> bytes:
        # Decoy places count as taken, too: a new token must not start as invalid.
        nobodys = decoys(self._entropy.bytes)
        connection.execute(
            "INSERT INTO status_lists (number, decoys, taken, given) VALUES (?, ?, ?, 0)",
            (number, nobodys, nobodys),
        )
        return nobodys

    def _open_list(self, connection: sqlite3.Connection) -> tuple[int, bytearray, int]:
        row = connection.execute(
            "SELECT number, taken, given FROM status_lists ORDER BY number DESC LIMIT 1"
        ).fetchone()
        if row is not None and whole(row[2]) < TOKENS_PER_LIST_MAX:
            return whole(row[0]), bytearray(octets(row[1])), whole(row[2])
        number = whole(row[0]) + 1 if row is not None else 1
        return number, bytearray(self._begin_list(connection, number)), 0


def _insert(connection: sqlite3.Connection, token: IssuedToken, parent: object) -> None:
    values = (
        token.jti, parent, token.par_hash, token.mandate, token.agent, token.key, token.manifest, token.trust_domain,
        token.expires_at, token.place.list_number, token.place.index, token.instance,
    )  # fmt: skip
    number = connection.execute(_INSERT, values).lastrowid
    if token.through:
        connection.executemany(_INSERT_NAME, [(*name, number) for name in token.through])


def _family(names: Collection[RevocationTarget]) -> tuple[str, tuple[str, ...]]:
    """Return the start of a query over `family`, the tokens with one of these names and all tokens below them, and its
    values."""
    wanted = [one for one in names if one.name]
    parts: list[str] = []
    values: list[str] = []
    for kind, column in _BY_KIND.items():
        of_kind = [one.name for one in wanted if one.kind == kind]
        if of_kind:
            parts.append(_NAMED.format(column=column))
            values.append(json.dumps(of_kind))
    if wanted:
        parts.append(_THROUGH)
        values.append(json.dumps(wanted))
    instances = json.dumps(
        [one.name for one in wanted if one.kind == "agent" and one.name.startswith(SCHEME)]
    )
    if instances != "[]":
        parts += _INSTANCES
        values += [instances] * len(_INSTANCES)
    return _FAMILY.format(chosen=" UNION ".join(parts)), tuple(values)


def _token(row: tuple[object, ...]) -> IssuedToken:
    return IssuedToken(
        jti=text(row[0]),
        parent=text(row[1]) if row[1] is not None else "",
        par_hash=text(row[2]),
        mandate=MandateId(text(row[3])),
        agent=AgentId(text(row[4])),
        key=text(row[5]),
        manifest=text(row[6]),
        trust_domain=text(row[7]),
        instance=text(row[11]),
        expires_at=UnixMillis(whole(row[8])),
        place=StatusPlace(list_number=whole(row[9]), index=whole(row[10])),
        through=tuple(sorted(RevocationTarget(kind, name) for kind, name in json.loads(text(row[12])))),
    )
