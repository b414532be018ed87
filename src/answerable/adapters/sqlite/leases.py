"""Store a broker's leases in an SQLite file of their own, in the broker's directory. No mirror: one process uses it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.adapters.sqlite.columns import given, octets, whole
from answerable.adapters.sqlite.store import SqliteStore
from answerable.core.canonical import INTEGER_MAX
from answerable.core.lease.lease import Lease
from answerable.errors.codes.ledger import REGISTER_CORRUPT_MALFORMED, REGISTER_IN_USE
from answerable.ports.lease_register import CHANGES_MAX, LeaseChange

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from answerable.adapters.sqlite.migrations import Migrations
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.name import LeaseName
    from answerable.ports.lease_register import Redemption, Taken

LEASE_MIGRATIONS: Final[Migrations] = (
    (
        """CREATE TABLE leases (
            name TEXT PRIMARY KEY, log TEXT NOT NULL, open INTEGER NOT NULL CHECK (open IN (0, 1)),
            ended_at INTEGER NOT NULL, change INTEGER NOT NULL, body BLOB NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE UNIQUE INDEX leases_change ON leases (log, change)",
        "CREATE INDEX leases_open ON leases (change) WHERE open = 1",
        "CREATE INDEX leases_ended ON leases (ended_at) WHERE open = 0",
        """CREATE TABLE warrants (
            log TEXT NOT NULL, intent INTEGER NOT NULL, deadline INTEGER NOT NULL, PRIMARY KEY (log, intent)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX warrants_deadline ON warrants (deadline)",
        "CREATE TABLE last_change (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL) STRICT",
        "INSERT INTO last_change (one, number) VALUES (1, 0)",
        "CREATE TABLE acknowledged (log TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ),
    (
        "ALTER TABLE leases ADD COLUMN live_until INTEGER NOT NULL DEFAULT 0",
        "UPDATE leases SET live_until = json_extract(CAST(body AS TEXT), '$.live_until') WHERE open = 0",
        "CREATE INDEX leases_left ON leases (live_until) WHERE live_until > 0",
    ),
)
APPLICATION_ID: Final = 0x616E736C
"""`ansl`: a broker's leases."""
ROWS_AT_ONCE: Final = 2_000

_UPSERT: Final = (
    "INSERT INTO leases (name, log, open, ended_at, live_until, change, body) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
    "(name) DO UPDATE SET open = excluded.open, ended_at = excluded.ended_at, live_until = excluded.live_until, "
    "change = excluded.change, body = excluded.body"
)
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Lease)


class SqliteLeaseRegister:
    """Port LeaseRegister."""

    def __init__(self, path: Path) -> None:
        """Raises Unavailable: `register.in_use`, and as SqliteStore.open."""
        self._store = SqliteStore.open(path, migrations=LEASE_MIGRATIONS, application_id=APPLICATION_ID)
        self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise REGISTER_IN_USE() from None

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._store.close()
        if self._lock >= 0:
            with suppress(OSError):
                os.close(self._lock)
            self._lock = -1

    def redeem(self, redemptions: Sequence[Redemption]) -> list[Taken]:
        with self._store.write() as connection:
            numbers = _Numbers(connection)
            answers = [_redeemed(connection, one, numbers) for one in redemptions]
            numbers.keep()
            return answers

    def put(self, leases: Sequence[Lease]) -> None:
        with self._store.write() as connection:
            numbers = _Numbers(connection)
            connection.executemany(_UPSERT, (_row(lease, numbers.next()) for lease in leases))
            numbers.keep()

    def get(self, name: LeaseName) -> Lease | None:
        rows = self._store.rows("SELECT body FROM leases WHERE name = ?", (name,))
        if not rows:
            return None
        return given("lease", name, self._store.unreadable.made("lease", name, lambda: _lease(rows[0])))

    def open_leases(self) -> Iterator[Lease]:
        after = 0
        while True:
            rows = self._store.rows(
                "SELECT body, name, change FROM leases WHERE open = 1 AND change > ? ORDER BY change LIMIT ?",
                (after, ROWS_AT_ONCE),
            )
            yield from self._each(rows)
            if len(rows) < ROWS_AT_ONCE:
                return
            after = whole(rows[-1][2])

    def ended(self, limit: int) -> Sequence[Lease]:
        query = "SELECT body, name FROM leases WHERE open = 0 ORDER BY ended_at DESC, change DESC LIMIT ?"
        return [*self._each(self._store.rows(query, (limit,)))]

    def left(self, at: UnixMillis, limit: int, *, after: str = "") -> Sequence[Lease]:
        query = (
            "SELECT body, name FROM leases WHERE open = 0 AND live_until > ? AND live_until > 0 AND live_until < ? "
            "AND name > ? ORDER BY name LIMIT ?"
        )
        return [*self._each(self._store.rows(query, (at, INTEGER_MAX, after, limit)))]

    def changes(self, log: str, after: int, limit: int = CHANGES_MAX) -> Sequence[LeaseChange]:
        rows = self._store.rows(
            "SELECT body, name, change FROM leases WHERE log = ? AND change > ? ORDER BY change LIMIT ?",
            (log, after, min(limit, CHANGES_MAX)),
        )
        made = self._store.unreadable.each("lease", rows, lambda row: (whole(row[2]), _lease(row)), 1)
        return [LeaseChange(number, lease) for number, lease in made]

    def _each(self, rows: Sequence[tuple[object, ...]]) -> Iterator[Lease]:
        """Decode rows. An unreadable lease is reported, and its credential ends at its own expiry."""
        return self._store.unreadable.each("lease", rows, _lease, 1)

    def acknowledged(self, log: str) -> int | None:
        rows = self._store.rows("SELECT number FROM acknowledged WHERE log = ?", (log,))
        return whole(rows[0][0]) if rows else None

    def acknowledge(self, log: str, number: int) -> None:
        known = self.acknowledged(log)
        if known is not None and number <= known:
            return
        with self._store.write() as connection:
            connection.execute(
                "INSERT INTO acknowledged (log, number) VALUES (?, ?) ON CONFLICT (log) DO UPDATE SET number = "
                "max(number, excluded.number)",
                (log, number),
            )

    def last_change(self) -> int:
        return whole(self._store.rows("SELECT number FROM last_change")[0][0])

    def forget(self, *, ended_before: UnixMillis, limit: int) -> int:
        with self._store.write() as connection:
            gone = connection.execute(
                "DELETE FROM leases WHERE name IN "
                "(SELECT name FROM leases WHERE open = 0 AND ended_at < ? AND (live_until < ? OR live_until >= ?) "
                "ORDER BY ended_at LIMIT ?)",
                (ended_before, ended_before, INTEGER_MAX, limit),
            ).rowcount
            connection.execute(
                "DELETE FROM warrants WHERE (log, intent) IN "
                "(SELECT log, intent FROM warrants WHERE deadline < ? ORDER BY deadline LIMIT ?)",
                (ended_before, limit),
            )
            return gone


class _Numbers:
    """Numbers changes consecutively, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last = whole(connection.execute("SELECT number FROM last_change").fetchone()[0])

    def next(self) -> int:
        self._last += 1
        return self._last

    def keep(self) -> None:
        self._connection.execute("UPDATE last_change SET number = ?", (self._last,))


def _redeemed(connection: sqlite3.Connection, one: Redemption, numbers: _Numbers) -> Taken:
    spent = connection.execute(
        "INSERT INTO warrants (log, intent, deadline) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (one.log, one.intent, one.deadline),
    )
    if not spent.rowcount:
        return "spent"
    if one.lease is None:
        return "taken"
    if connection.execute("SELECT 1 FROM leases WHERE name = ?", (one.lease.name,)).fetchone():
        connection.execute("DELETE FROM warrants WHERE log = ? AND intent = ?", (one.log, one.intent))
        return "name_used"
    connection.execute(_UPSERT, _row(one.lease, numbers.next()))
    return "taken"


def _row(lease: Lease, number: int) -> tuple[object, ...]:
    return (
        lease.name, lease.log, int(lease.is_open), lease.ended_at, lease.live_until, number, _encoder.encode(lease),
    )  # fmt: skip


def _lease(row: tuple[object, ...]) -> Lease:
    try:
        return _decoder.decode(octets(row[0]))
    except msgspec.DecodeError as fault:
        raise REGISTER_CORRUPT_MALFORMED(f"it is not what was written: {fault}".lower()) from None
