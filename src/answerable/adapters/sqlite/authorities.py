"""Store the authorities of the trust domain and foreign bundles in SQLite. Reads go to the file: only timers and
followers of changes read them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, read, text, whole
from answerable.adapters.sqlite.unreadable import fetched, named
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.svid.authority import STATES, Authority, AuthoritySet
from answerable.core.ledger.tags import Tag
from answerable.core.ledger.told_authorities import authorities_after, is_whole
from answerable.errors import AnswerableError, Unavailable, shown
from answerable.errors.codes.identity import AUTHORITY_STATE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.ledger.projected import Told
    from answerable.core.ledger.told_authorities import ToldAuthorities

COLUMNS: Final = (
    "id, state, certificate, jwt_kid, jwt_jwk, wit_kid, wit_jwk, not_before, not_after, prepared_at, since"
)
# One statement, so that authorities and revision are of one state.
_SET: Final = (
    f"SELECT sequence, revision, beginning, {COLUMNS} FROM trust_domain "  # noqa: S608 - our own names
    "LEFT JOIN authorities ON TRUE ORDER BY number"
)


@dataclass(frozen=True, slots=True)
class Mended:
    """The result of a repair. made: rows that were rebuilt. left: unreadable ones for which the ledger states too
    little. dropped: rows of which no entry speaks."""

    made: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


class SqliteAuthorityRegister:
    """Port AuthorityRegister."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        store.unreadable.look_at(self.federated)

    def read(self) -> AuthoritySet | None:
        """Read the trust domain. Raises Unavailable (`register.corrupt`) for a row that cannot be decoded."""
        return _set_in(self._store.rows(_SET))

    def mend(
        self, read_told: Callable[[], ToldAuthorities], *, now: UnixMillis, altered: bool = False
    ) -> Mended:
        """Rebuild unreadable rows from the ledger, at the start of a process. read_told: reads the ledger; called only
        if there is anything to rebuild. altered: another program wrote the rows, so all of them are compared, and one
        of which no entry speaks is deleted. Raises Unavailable."""
        rows = self._store.rows(f"SELECT number, {COLUMNS} FROM authorities")  # noqa: S608 - our own names
        damaged = [row for row in rows if altered or not _is_whole(row[1:])]
        of_domain = self._store.rows("SELECT sequence, revision, beginning FROM trust_domain")
        spoilt = [row for row in of_domain if not _is_domain(row)]
        if not (damaged or spoilt or altered):
            return Mended()
        told, done = read_told(), Mended()
        with self._store.write() as connection:
            for row in damaged:
                _mend_row(connection, row, told, done)
            if spoilt:
                # A sequence above any published one; a process that was creating keys starts over.
                values = (max(told.sequence + 1, now // 1000), now)
                connection.execute(
                    "UPDATE trust_domain SET sequence = ?, revision = ?, beginning = ''", values
                )
                done.made.append("the sequence of its bundle")
            elif altered:
                query = "UPDATE trust_domain SET sequence = ?1 WHERE sequence < ?1"
                if connection.execute(query, (told.sequence,)).rowcount:
                    done.made.append("the sequence of its bundle")
        return done

    def replace(self, after: AuthoritySet, *, expected: int | None) -> bool:
        with self._store.write() as connection:
            found = connection.execute("SELECT revision FROM trust_domain").fetchone()
            if (None if found is None else whole(found[0])) != expected:
                return False
            _replace(connection, after)
        return True

    def federated(self) -> Mapping[TrustDomain, bytes]:
        """Return the foreign bundles. Raises Unavailable (`register.corrupt`)."""
        rows = self._store.rows("SELECT domain, document FROM federated ORDER BY domain")
        return dict(self._store.unreadable.each("bundle of", rows, _federated))

    def keep_federated(self, domain: TrustDomain, document: bytes) -> None:
        with self._store.write() as connection:
            connection.execute(
                "INSERT INTO federated (domain, document) VALUES (?, ?) "
                "ON CONFLICT (domain) DO UPDATE SET document = excluded.document",
                (domain, document),
            )

    def follow(self, changed: Callable[[], None]) -> None:
        """Call `changed`, in any thread, once this process learns of a change by any process. Raises Unavailable."""
        seen: list[object] = []

        def look() -> None:
            now = [
                *self._store.rows("SELECT revision FROM trust_domain"),
                *self._store.rows("SELECT domain, document FROM federated ORDER BY domain"),
            ]
            if now != seen:
                seen[:] = now
                changed()

        self._store.mirror(look, register="authorities")

    def drop_federated(self, domain: TrustDomain) -> bool:
        with self._store.write() as connection:
            return connection.execute("DELETE FROM federated WHERE domain = ?", (domain,)).rowcount > 0


class AuthorityTable:
    """The trust domain as a projection of the ledger: one row. Only the states of its generations and the sequence of
    its bundle follow the entries; `SqliteAuthorityRegister.mend` compares the rest."""

    name: Final = "authorities"
    tags: Final = frozenset({Tag.AUTHORITY_CHANGED})

    def keys(self, told: Told) -> Iterable[str]:
        return ("the trust domain",)

    def after(self, key: str, row: AuthoritySet | None, told: Told) -> AuthoritySet | None:
        return authorities_after(row, told)

    def load(self, connection: sqlite3.Connection, key: str) -> AuthoritySet | None:
        """Return None also where it cannot be read: `mend` rebuilds it then from all entries."""
        with suppress(Unavailable):
            return _set_in(fetched(connection, _SET, ()))
        return None

    def save(self, connection: sqlite3.Connection, key: str, row: AuthoritySet | None) -> None:
        if row is not None:
            _replace(connection, row)

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        """Yield nothing: no generation is rebuilt without its keys."""
        yield from ()

    def mended(self, live: AuthoritySet | None, told: AuthoritySet | None) -> AuthoritySet | None:
        return live


def _set_in(rows: Sequence[tuple[object, ...]]) -> AuthoritySet | None:
    if not rows:
        return None
    sequence, revision, beginning = rows[0][:3]
    with read("the trust domain", "of this server"):
        return AuthoritySet(
            authorities=tuple(_authority(row[3:]) for row in rows if row[3] is not None),
            sequence=whole(sequence),
            revision=whole(revision),
            beginning=text(beginning),
        )


def _replace(connection: sqlite3.Connection, after: AuthoritySet) -> None:
    connection.execute("DELETE FROM trust_domain")
    connection.execute("DELETE FROM authorities")
    connection.execute(
        "INSERT INTO trust_domain (one, sequence, revision, beginning) VALUES (1, ?, ?, ?)",
        (after.sequence, after.revision, after.beginning),
    )
    for number, authority in enumerate(after.authorities):
        _insert(connection, number, authority)


def _federated(row: tuple[object, ...]) -> tuple[TrustDomain, bytes]:
    return trust_domain(text(row[0])), octets(row[1])


def _is_whole(row: tuple[object, ...]) -> bool:
    try:
        return is_whole(_authority(row))
    except AnswerableError:
        return False


def _is_domain(row: tuple[object, ...]) -> bool:
    try:
        text(row[2])
        return min(whole(row[0]), whole(row[1])) >= 0
    except Unavailable:
        return False


def _mend_row(
    connection: sqlite3.Connection, row: tuple[object, ...], told: ToldAuthorities, done: Mended
) -> None:
    """Replace a row by what the ledger says of its generation, and note it if it differed."""
    found = next((a for a in told.authorities.values() if row[1] == a.id or row[3] == a.certificate), None)
    live = _authority(row[1:]) if _is_whole(row[1:]) else None
    if found is None:
        if live is None or live.id in told.named:
            done.left.extend([] if live is not None else [named(row[1])])
            return
        connection.execute("DELETE FROM authorities WHERE number = ?", (row[0],))
        done.dropped.append(live.id)
        return
    connection.execute("DELETE FROM authorities WHERE number = ?", (row[0],))
    if connection.execute("SELECT 1 FROM authorities WHERE id = ?", (found.id,)).fetchone():
        done.dropped.append(named(row[1]))
        return
    made = _as_far(found, row[2], connection)
    # An entry is written some moments after its row.
    is_so = live is not None and live == replace(made, prepared_at=live.prepared_at, since=live.since)
    _insert(connection, whole(row[0]), live if live is not None and is_so else made)
    done.made.extend([] if is_so else [found.id])


def _as_far(told: Authority, state: object, connection: sqlite3.Connection) -> Authority:
    """Apply the row's state if it is later than the ledger's: a change is recorded in the ledger only afterwards."""
    rest = [one for one in STATES if one == state and STATES.index(one) >= STATES.index(told.state)]
    made = rest[0] if rest else told.state
    if made == "active" and connection.execute("SELECT 1 FROM authorities WHERE state = 'active'").fetchone():
        made = "old"
    return replace(told, state=made)


def _insert(connection: sqlite3.Connection, number: int, authority: Authority) -> None:
    connection.execute(
        f"INSERT INTO authorities (number, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            number,
            authority.id,
            authority.state,
            authority.certificate,
            authority.jwt_kid,
            authority.jwt_jwk,
            authority.wit_kid,
            authority.wit_jwk,
            authority.not_before,
            authority.not_after,
            authority.prepared_at,
            authority.since,
        ),
    )


def _authority(row: tuple[object, ...]) -> Authority:
    state = text(row[1])
    if state not in STATES:
        raise AUTHORITY_STATE(f"{shown(state)} is not a state of an authority")
    return Authority(
        id=text(row[0]),
        state=state,
        certificate=octets(row[2]),
        jwt_kid=text(row[3]),
        jwt_jwk=text(row[4]),
        wit_kid=text(row[5]),
        wit_jwk=text(row[6]),
        not_before=UnixMillis(whole(row[7])),
        not_after=UnixMillis(whole(row[8])),
        prepared_at=UnixMillis(whole(row[9])),
        since=UnixMillis(whole(row[10])),
    )
