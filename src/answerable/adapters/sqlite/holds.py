"""Holds in SQLite: rows that are added and lifted, a mirror of those that stand, and the epoch of the revocations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, read, text, whole
from answerable.core.canonical import encode, parse
from answerable.core.containment.hold import (
    HOLD_SOURCES,
    Agreement,
    Hold,
    HoldId,
    among,
    first_in_force,
    holdable,
)
from answerable.core.identity.principal import PrincipalId, UnixMillis
from answerable.errors import Malformed
from answerable.ports.hold_register import UNRECORDED_MAX

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence

    from answerable.adapters.sqlite.revocations import SqliteRevocationRegister
    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.containment.hold import Holdable, HoldSource

_COLUMNS: Final = (
    "number, id, kind, name, at, made_by, reason, expires_at, source, rule, agreed, lifted_at, change"
)
_AGREED: Final = ("by", "key", "reason", "token")


class SqliteHoldRegister:
    """Port HoldRegister. News of holds travels with that of revocations: one number, one look, one interval."""

    def __init__(self, store: SqliteStore, revocations: SqliteRevocationRegister) -> None:
        """revocations: of the same store. Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store, self._revocations = store, revocations
        # A connection of its own: looking must not wait for a write of this process that is on its way to the disk.
        self._reader = store.reader()
        self._by_name: dict[Holdable, tuple[Hold, ...]] = {}
        self._read = 0
        revocations.follow(self._reload)

    def epoch(self) -> int:
        """As the port says."""
        return self._revocations.epoch()

    def standing(self, names: Collection[Holdable]) -> tuple[Hold, ...]:
        """As the port says."""
        self._revocations.epoch()
        known = self._by_name
        if not known:
            return ()
        return tuple(known[one][0] for one in names if one in known)

    def find(self, names: Collection[Holdable], at: UnixMillis) -> Hold | None:
        """As the port says."""
        return first_in_force(self.standing(names), at)

    def get(self, hold: HoldId) -> Hold | None:
        """As the port says."""
        query = f"SELECT {_COLUMNS} FROM holds WHERE id = ?"  # noqa: S608
        rows = self._store.rows(query, (hold,))
        return _hold(rows[0]) if rows else None

    def place(self, hold: Hold) -> Hold:
        """As the port says."""
        query = f"SELECT {_COLUMNS} FROM holds WHERE lifted_at = 0 AND kind = ? AND name = ? ORDER BY number"  # noqa: S608
        with self._store.write() as connection:
            standing = (_hold(row) for row in connection.execute(query, tuple(hold.what)))
            found = next(
                (one for one in standing if one.stands_for(hold)),
                None,
            )
            if found is None:
                _insert(connection, [hold], recorded=False)
        # Also for one that is there already: whoever put it there may have ended before it told anybody.
        self._revocations.tell()
        return found or hold

    def replace(self, hold: Hold, *, was: Hold) -> bool:
        """As the port says."""
        with self._store.write() as connection:
            changed = connection.execute(
                "UPDATE holds SET agreed = ?, lifted_at = ?, change = (SELECT max(change) + 1 FROM holds) "
                "WHERE id = ? AND agreed = ? AND lifted_at = ?",
                (_agreed(hold), hold.lifted_at, was.id, _agreed(was), was.lifted_at),
            ).rowcount
        self._revocations.tell()
        return changed == 1

    def put_back(self, holds: Collection[Hold]) -> int:
        """As the port says."""
        with self._store.write() as connection:
            added = _insert(connection, holds, recorded=True)
        self._revocations.tell()
        return added

    def all(self) -> Iterable[Hold]:
        """As the port says."""
        query = f"SELECT {_COLUMNS} FROM holds ORDER BY number DESC"  # noqa: S608
        return tuple(_hold(row) for row in self._store.rows(query))

    def unrecorded(self) -> Sequence[Hold]:
        """As the port says."""
        query = f"SELECT {_COLUMNS} FROM holds WHERE recorded = 0 ORDER BY number LIMIT ?"  # noqa: S608
        return tuple(_hold(row) for row in self._store.rows(query, (UNRECORDED_MAX,)))

    def is_recorded(self, hold: HoldId) -> bool:
        """As the port says."""
        return bool(self._store.rows("SELECT 1 FROM holds WHERE id = ? AND recorded = 1", (hold,)))

    def recorded(self, holds: Iterable[HoldId]) -> None:
        """As the port says."""
        with self._store.write() as connection:
            connection.executemany("UPDATE holds SET recorded = 1 WHERE id = ?", [(one,) for one in holds])

    def unreported(self) -> Sequence[Hold]:
        """As the port says."""
        query = f"SELECT {_COLUMNS} FROM holds WHERE recorded = 1 AND reported = 0 ORDER BY number LIMIT ?"  # noqa: S608
        return tuple(_hold(row) for row in self._store.rows(query, (UNRECORDED_MAX,)))

    def reported(self, holds: Iterable[HoldId]) -> None:
        """As the port says."""
        with self._store.write() as connection:
            connection.executemany("UPDATE holds SET reported = 1 WHERE id = ?", [(one,) for one in holds])

    def _reload(self) -> bool:
        """Whether any was placed, agreed to or lifted since, by whomever."""
        query = f"SELECT {_COLUMNS} FROM holds WHERE change > ? ORDER BY change, number"  # noqa: S608
        if self._read == 0:
            # Nothing is known yet that a lift could take away.
            query = query.replace("WHERE", "WHERE lifted_at = 0 AND")
        rows = self._reader.rows(query, (self._read,))
        if not rows:
            return False
        by_name = dict(self._by_name)
        for hold in map(_hold, rows):
            by_name[hold.what] = among(by_name.get(hold.what, ()), hold)
            if not by_name[hold.what]:
                del by_name[hold.what]
        # Swapped whole, so that other threads see all of it or nothing.
        self._by_name = by_name
        self._read = whole(rows[-1][-1])
        return True


def _insert(connection: sqlite3.Connection, holds: Collection[Hold], *, recorded: bool) -> int:
    change = whole(connection.execute("SELECT coalesce(max(change), 0) + 1 FROM holds").fetchone()[0])
    return connection.executemany(
        "INSERT INTO holds (id, kind, name, at, made_by, reason, expires_at, source, rule, agreed, lifted_at, change, "
        "recorded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        [
            (
                one.id, *one.what, one.at, one.by, one.reason, one.expires_at, one.source, one.rule, _agreed(one),
                one.lifted_at, change, recorded,
            )
            for one in holds
        ],
    ).rowcount  # fmt: skip


def _agreed(hold: Hold) -> bytes:
    return encode(
        [
            {"at": one.at, "by": one.by, "key": one.key, "reason": one.reason, "token": one.token}
            for one in hold.agreed
        ]
    )


def _hold(row: tuple[object, ...]) -> Hold:
    name = text(row[1])
    with read("hold", name):
        return Hold(
            id=HoldId(name),
            what=holdable(text(row[2]), text(row[3])),
            at=UnixMillis(whole(row[4])),
            by=text(row[5]),
            reason=text(row[6]),
            expires_at=whole(row[7]),
            source=_source(text(row[8])),
            rule=text(row[9]),
            agreed=_agreements(octets(row[10])),
            lifted_at=whole(row[11]),
        )


def _source(name: str) -> HoldSource:
    for one in HOLD_SOURCES:
        if one == name:
            return one
    raise Malformed("its source is not known", code="register.corrupt")


def _agreements(body: bytes) -> tuple[Agreement, ...]:
    found: list[Agreement] = []
    listed = parse(body)
    for one in listed if isinstance(listed, list) else [None]:
        if not isinstance(one, dict) or not all(isinstance(one.get(name), str) for name in _AGREED):
            raise Malformed("who agreed to lift it cannot be read", code="register.corrupt")
        found.append(
            Agreement(
                by=PrincipalId(str(one["by"])),
                key=str(one["key"]),
                reason=str(one["reason"]),
                at=UnixMillis(whole(one["at"])),
                token=str(one["token"]),
            )
        )
    return tuple(found)
