"""Store which messages were delivered to whom on which channel, in SQLite. No mirror: no action waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, get_args

from answerable.adapters.sqlite.columns import text, whole
from answerable.core.approval.delivery import Delivery, Told
from answerable.errors.codes.events import DELIVERY_TOLD
from answerable.ports.delivery_register import ChannelState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from answerable.adapters.sqlite.store import SqliteStore

DELIVERIES_MAX: Final = 100_000
_WHAT: Final = "message about"
_TOLD: Final = get_args(Told)
_COLUMNS: Final = (
    "about, channel, receiver, made_at, told, at, attempts, next_at, handle, missed, error, body"
)
_FIND: Final = f"SELECT {_COLUMNS} FROM deliveries"  # noqa: S608 - names of ours
_CHANGE: Final = (
    "UPDATE deliveries SET told = ?, at = ?, attempts = ?, next_at = ?, handle = ?, missed = ?, error = ? "
    "WHERE about = ? AND channel = ? AND receiver = ?"
)
_ADD: Final = (
    f"INSERT INTO deliveries ({_COLUMNS}) "  # noqa: S608 - names of ours
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class SqliteDeliveryRegister:
    """Implements ports.delivery_register.DeliveryRegister."""

    def __init__(self, store: SqliteStore, *, deliveries_max: int = DELIVERIES_MAX) -> None:
        self._store = store
        self._max = deliveries_max

    def open(self, channel: str, *, now: int) -> ChannelState:
        query = "SELECT since, attempts, next_at, error, sent, missed, left_out FROM channels WHERE name = ?"
        rows = self._store.rows(query, (channel,))
        if not rows:
            with self._store.write() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO channels (name, since) VALUES (?, ?)", (channel, now)
                )
            rows = self._store.rows(query, (channel,))
        since, attempts, next_at, error, sent, missed, left_out = rows[0]
        return ChannelState(
            since=whole(since),
            attempts=whole(attempts),
            next_at=whole(next_at),
            error=text(error),
            sent=whole(sent),
            missed=whole(missed),
            left_out=whole(left_out),
        )

    def of(self, about: str) -> tuple[Delivery, ...]:
        rows = self._store.rows(f"{_FIND} WHERE about = ? ORDER BY number", (about,))
        return tuple(self._store.unreadable.each(_WHAT, rows, _delivery, 0, 1, 2))

    def on(self, channel: str, *, since: int) -> tuple[Delivery, ...]:
        rows = self._store.rows(
            f"{_FIND} WHERE channel = ? AND max(made_at, at) >= ? ORDER BY number", (channel, since)
        )
        return tuple(self._store.unreadable.each(_WHAT, rows, _delivery, 0, 1, 2))

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        with self._store.write() as connection:
            new = [one for one in deliveries if not _changed(connection, one)]
            room = self._max - _count(connection) if new else 0
            for one in new[: max(room, 0)]:
                connection.execute(_ADD, (*one.key, one.made_at, *_state(one), one.body))
            for one in new[max(room, 0) :]:
                connection.execute(
                    "UPDATE channels SET left_out = left_out + 1 WHERE name = ?", (one.channel,)
                )

    def forget(self, *, before: int) -> int:
        with self._store.write() as connection:
            return connection.execute("DELETE FROM deliveries WHERE max(made_at, at) < ?", (before,)).rowcount

    def claim(self, channel: str, *, now: int, until: int) -> bool:
        with self._store.write() as connection:
            taken = connection.execute(
                "UPDATE channels SET busy_until = ? WHERE name = ? AND (busy_until <= ? OR busy_until > ?)",
                (until, channel, now, until),
            )
            return taken.rowcount == 1

    def release(
        self, channel: str, *, attempts: int, next_at: int, error: str, sent: int = 0, missed: int = 0
    ) -> None:
        with self._store.write() as connection:
            connection.execute(
                "UPDATE channels SET attempts = ?, next_at = ?, error = ?, sent = sent + ?, missed = missed + ?, "
                "busy_until = 0 WHERE name = ?",
                (attempts, next_at, error, sent, missed, channel),
            )


def _changed(connection: sqlite3.Connection, one: Delivery) -> bool:
    return connection.execute(_CHANGE, (*_state(one), *one.key)).rowcount == 1


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM deliveries").fetchone()[0])


def _state(one: Delivery) -> tuple[object, ...]:
    return one.told, one.at, one.attempts, one.next_at, one.handle, int(one.missed), one.error


def _delivery(row: tuple[object, ...]) -> Delivery:
    about, channel, to, made_at, told, at, attempts, next_at, handle, missed, error, body = row
    if told not in _TOLD:
        raise DELIVERY_TOLD(f"{text(told)} is not a state of a delivery")
    return Delivery(
        about=text(about),
        channel=text(channel),
        to=text(to),
        made_at=whole(made_at),
        told=cast("Told", told),
        at=whole(at),
        attempts=whole(attempts),
        next_at=whole(next_at),
        handle=text(handle),
        missed=whole(missed) == 1,
        error=text(error),
        body=text(body),
    )
