"""Store holds in SQLite: rows that are added and lifted, a mirror of the holds in force, and the revocations' epoch."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import behind, octets, text, whole
from answerable.adapters.sqlite.unreadable import named
from answerable.core.canonical import encode, parse
from answerable.core.containment.hold import (
    EVERYTHING,
    HOLD_SOURCES,
    ID_BYTES,
    Agreement,
    Hold,
    HoldId,
    among,
    first_in_force,
    hold_id,
    holdable,
    is_hold_id,
)
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.errors import AnswerableError, Unavailable
from answerable.errors.codes.ledger import REGISTER_CORRUPT_MALFORMED
from answerable.ports.hold_register import UNRECORDED_MAX

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence

    from answerable.adapters.sqlite.revocations import SqliteRevocationRegister
    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.containment.hold import HoldSource, HoldTarget

_COLUMNS: Final = (
    "number, id, kind, name, at, made_by, reason, expires_at, source, rule, agreed, lifted_at, change"
)
_WHAT: Final = "hold"
_NOBODY: Final = "register:unreadable"
_WHY: Final = "its row cannot be read: a start writes it anew from the ledger"
_AGREED: Final = ("by", "key", "reason", "token")


class SqliteHoldRegister:
    """Port HoldRegister. News of holds and of revocations share one number, one check and one interval.

    A hold whose row cannot be read still holds: its target, or everything if the target cannot be read, either. Nobody
    can lift it; the start of a process rewrites it from the ledger.
    """

    def __init__(self, store: SqliteStore, revocations: SqliteRevocationRegister) -> None:
        """revocations: of the same store. Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store, self._revocations = store, revocations
        self._by_name: dict[HoldTarget, tuple[Hold, ...]] = {}
        # Holds in force in this process but not in the file, with whether the ledger records them.
        self._behind: dict[HoldId, tuple[Hold, bool]] = {}
        self._read = 0
        revocations.follow(self._reload)

    def epoch(self) -> int:
        return self._revocations.epoch()

    def standing(self, names: Collection[HoldTarget]) -> tuple[Hold, ...]:
        self._revocations.epoch()
        known = self._by_name
        if not known:
            return ()
        return tuple(known[one][0] for one in names if one in known)

    def find(self, names: Collection[HoldTarget], at: UnixMillis) -> Hold | None:
        return first_in_force(self.standing(names), at)

    def get(self, hold: HoldId) -> Hold | None:
        if (found := self._behind.get(hold)) is not None:
            return found[0]
        query = f"SELECT {_COLUMNS} FROM holds WHERE id = ?"  # noqa: S608
        rows = self._store.rows(query, (hold,))
        return self._made(rows[0]) if rows else None

    def place(self, hold: Hold) -> Hold:
        try:
            return self._placed(hold)
        except Unavailable as failed:
            self._hold_here(hold)
            raise behind(failed) from failed

    def behind(self) -> Sequence[Hold]:
        """Return the holds that are in force in this process but not in the file. No I/O."""
        return tuple(hold for hold, _ in self._behind.values())

    def catch_up(self) -> None:
        """Write the holds that are not in the file yet. Raises Unavailable."""
        for name, (hold, recorded) in tuple(self._behind.items()):
            with self._store.write() as connection:
                _insert(connection, [hold], recorded=recorded)
            self._revocations.tell()
            del self._behind[name]

    def _hold_here(self, hold: Hold) -> None:
        standing = self._by_name.get(hold.what, ())
        if not any(one.stands_for(hold) for one in standing):
            self._behind[hold.id] = hold, False
            self._by_name = {**self._by_name, hold.what: among(standing, hold)}
        self._revocations.tell_here()

    def _placed(self, hold: Hold) -> Hold:
        query = f"SELECT {_COLUMNS} FROM holds WHERE lifted_at = 0 AND kind = ? AND name = ? ORDER BY number"  # noqa: S608
        with self._store.write() as connection:
            rows = connection.execute(query, tuple(hold.what)).fetchall()
            standing = self._store.unreadable.each(_WHAT, rows, _hold, 1)
            found = next((one for one in standing if one.stands_for(hold)), None)
            if found is None:
                _insert(connection, [hold], recorded=False)
        # Also notify for an existing hold: the process that added it may have ended before its notification.
        self._revocations.tell()
        return found or hold

    def replace(self, hold: Hold, *, was: Hold) -> bool:
        with self._store.write() as connection:
            changed = connection.execute(
                "UPDATE holds SET agreed = ?, lifted_at = ?, change = (SELECT max(change) + 1 FROM holds) "
                "WHERE id = ? AND agreed = ? AND lifted_at = ?",
                (_agreed(hold), hold.lifted_at, was.id, _agreed(was), was.lifted_at),
            ).rowcount
        self._revocations.tell()
        return changed == 1

    def put_back(self, holds: Collection[Hold]) -> int:
        unreadable = [(one.id,) for one in holds if self._store.unreadable.has(_WHAT, one.id)]
        with self._store.write() as connection:
            added = _insert(connection, holds, recorded=True, anew=unreadable)
        self._revocations.tell()
        return added

    def put_right(self, holds: Collection[Hold]) -> None:
        with self._store.write() as connection:
            _insert(connection, holds, recorded=True, anew=[(one.id,) for one in holds])
        self._revocations.tell()

    def all(self) -> Iterable[Hold]:
        query = f"SELECT {_COLUMNS} FROM holds ORDER BY number DESC"  # noqa: S608
        unwritten = tuple(reversed(self.behind()))
        return unwritten + tuple(self._made(row) or _stand_in(row) for row in self._store.rows(query))

    def unrecorded(self) -> Sequence[Hold]:
        query = f"SELECT {_COLUMNS} FROM holds WHERE recorded = 0 ORDER BY number LIMIT ?"  # noqa: S608
        rows = self._store.rows(query, (UNRECORDED_MAX,))
        unwritten = tuple(one for one, recorded in self._behind.values() if not recorded)
        return unwritten + tuple(self._store.unreadable.each(_WHAT, rows, _hold, 1))

    def is_recorded(self, hold: HoldId) -> bool:
        if (found := self._behind.get(hold)) is not None:
            return found[1]
        return bool(self._store.rows("SELECT 1 FROM holds WHERE id = ? AND recorded = 1", (hold,)))

    def recorded(self, holds: Iterable[HoldId]) -> None:
        named = [*holds]
        written = [(one,) for one in named if one not in self._behind]
        self._behind |= {one: (self._behind[one][0], True) for one in named if one in self._behind}
        if written:
            with self._store.write() as connection:
                connection.executemany("UPDATE holds SET recorded = 1 WHERE id = ?", written)

    def unreported(self) -> Sequence[Hold]:
        query = f"SELECT {_COLUMNS} FROM holds WHERE recorded = 1 AND reported = 0 ORDER BY number LIMIT ?"  # noqa: S608
        rows = self._store.rows(query, (UNRECORDED_MAX,))
        return tuple(self._store.unreadable.each(_WHAT, rows, _hold, 1))

    def reported(self, holds: Iterable[HoldId]) -> None:
        with self._store.write() as connection:
            connection.executemany("UPDATE holds SET reported = 1 WHERE id = ?", [(one,) for one in holds])

    def _reload(self) -> bool:
        """Whether any hold was placed, agreed to or lifted since the last read, by any process."""
        query = f"SELECT {_COLUMNS} FROM holds WHERE change > ? ORDER BY change, number"  # noqa: S608
        if self._read == 0:
            # On the first read, no known hold can have been lifted.
            query = query.replace("WHERE", "WHERE lifted_at = 0 AND")
        rows = self._revocations.reader.rows(query, (self._read,))
        if not rows:
            return False
        by_name = dict(self._by_name)
        by_name = {what: stood for what, holds in by_name.items() if (stood := _without(holds, rows))}
        for hold in (self._made(row) or _stand_in(row) for row in rows):
            by_name[hold.what] = among(by_name.get(hold.what, ()), hold)
            if not by_name[hold.what]:
                del by_name[hold.what]
        # Replaced as a whole, so that other threads see all changes or none.
        self._by_name = by_name
        self._read = whole(rows[-1][-1])
        return True

    def _made(self, row: tuple[object, ...]) -> Hold | None:
        return self._store.unreadable.made(_WHAT, named(row[1]), lambda: _hold(row))


def _without(holds: tuple[Hold, ...], rows: Sequence[tuple[object, ...]]) -> tuple[Hold, ...]:
    """Return the holds without those of these rows; this also drops the stand-in of a row that could not be read."""
    names = {row[1] for row in rows}
    return tuple(one for one in holds if one.id not in names)


def _insert(
    connection: sqlite3.Connection,
    holds: Collection[Hold],
    *,
    recorded: bool,
    anew: Sequence[tuple[HoldId]] = (),
) -> int:
    """Insert holds. anew: ids of unreadable rows to replace."""
    change = whole(connection.execute("SELECT coalesce(max(change), 0) + 1 FROM holds").fetchone()[0])
    connection.executemany("DELETE FROM holds WHERE id = ?", anew)
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
    return Hold(
        id=HoldId(text(row[1])),
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


def _stand_in(row: tuple[object, ...]) -> Hold:
    """Return the hold that stands in for an unreadable row; it has no end unless it was lifted."""
    name = named(row[1])
    try:
        what = holdable(text(row[2]), text(row[3]))
    except AnswerableError:
        what = EVERYTHING
    other = hold_id(sha256(name.encode("utf-8", "surrogatepass")).digest()[:ID_BYTES])
    return Hold(
        id=HoldId(name) if is_hold_id(name) else other,
        what=what,
        at=UnixMillis(0),
        by=_NOBODY,
        reason=_WHY,
        lifted_at=whole(row[11]),
    )


def _source(name: str) -> HoldSource:
    for one in HOLD_SOURCES:
        if one == name:
            return one
    raise REGISTER_CORRUPT_MALFORMED("its source is not known")


def _agreements(body: bytes) -> tuple[Agreement, ...]:
    found: list[Agreement] = []
    listed = parse(body)
    for one in listed if isinstance(listed, list) else [None]:
        if not isinstance(one, dict) or not all(isinstance(one.get(name), str) for name in _AGREED):
            raise REGISTER_CORRUPT_MALFORMED("who agreed to lift it cannot be read")
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
