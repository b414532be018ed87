"""Store event streams and their pending events in SQLite. No mirror: no action waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import given, octets, text, whole
from answerable.core.incident.stream_form import encoded_stream, stream_in
from answerable.ports.event_register import QueueState, Waiting

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.incident.event_stream import EventStream

_WHAT = "stream of events"
_STREAM = "SELECT id, body, revision FROM event_streams"


class SqliteEventRegister:
    """Implements ports.event_register.EventRegister."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        store.unreadable.look_at(self.streams)

    def streams(self) -> tuple[EventStream, ...]:
        rows = self._store.rows(f"{_STREAM} ORDER BY number")
        return tuple(self._store.unreadable.each(_WHAT, rows, stream_in_row))

    def find(self, stream: str) -> EventStream | None:
        rows = self._store.rows(f"{_STREAM} WHERE id = ?", (stream,))
        if not rows:
            return None
        return given(
            _WHAT, stream, self._store.unreadable.made(_WHAT, stream, lambda: stream_in_row(rows[0]))
        )

    def put(self, stream: EventStream) -> bool:
        body = encoded_stream(stream)
        with self._store.write() as connection:
            if stream.revision == 0:
                done = connection.execute(
                    "INSERT OR IGNORE INTO event_streams (id, body, revision) VALUES (?, ?, 1)",
                    (stream.id, body),
                )
            else:
                done = connection.execute(
                    "UPDATE event_streams SET body = ?, revision = revision + 1 WHERE id = ? AND revision = ?",
                    (body, stream.id, stream.revision),
                )
            return done.rowcount == 1

    def remove(self, stream: str) -> None:
        with self._store.write() as connection:
            connection.execute("DELETE FROM events_waiting WHERE stream = ?", (stream,))
            connection.execute("DELETE FROM event_streams WHERE id = ?", (stream,))

    def read_to(self, log: str) -> int | None:
        rows = self._store.rows("SELECT entries FROM events_read WHERE origin = ?", (log,))
        return whole(rows[0][0]) if rows else None

    def add(self, events: Sequence[Waiting], *, waiting_max: int, log: str = "", read_to: int = 0) -> None:
        with self._store.write() as connection:
            for one in events:
                _add(connection, one, waiting_max)
            if log:
                connection.execute(
                    "INSERT INTO events_read (origin, entries) VALUES (?, ?) "
                    "ON CONFLICT (origin) DO UPDATE SET entries = max(entries, excluded.entries)",
                    (log, read_to),
                )

    def queue(self, stream: str) -> QueueState:
        rows = self._store.rows(
            "SELECT (SELECT count(*) FROM events_waiting WHERE stream = event_streams.id), left_out, attempts, next_at "
            "FROM event_streams WHERE id = ?",
            (stream,),
        )
        if not rows:
            return QueueState()
        waiting, left_out, attempts, next_at = (whole(one) for one in rows[0])
        return QueueState(waiting=waiting, left_out=left_out, attempts=attempts, next_at=next_at)

    def waiting(self, stream: str, *, count_max: int) -> tuple[Waiting, ...]:
        rows = self._store.rows(
            "SELECT id, at, body FROM events_waiting WHERE stream = ? ORDER BY number LIMIT ?",
            (stream, count_max),
        )
        return tuple(
            Waiting(stream=stream, id=text(one), at=whole(at), body=octets(body)) for one, at, body in rows
        )

    def shown(self, stream: str, ids: Collection[str]) -> None:
        with self._store.write() as connection:
            connection.executemany(
                "UPDATE events_waiting SET shown = 1 WHERE stream = ? AND id = ?",
                [(stream, one) for one in ids],
            )

    def taken(self, stream: str, ids: Collection[str], *, only_shown: bool) -> int:
        with self._store.write() as connection:
            done = connection.executemany(
                "DELETE FROM events_waiting WHERE stream = ? AND id = ? AND shown >= ?",
                [(stream, one, int(only_shown)) for one in ids],
            )
            return max(done.rowcount, 0)

    def drop(self, stream: str) -> None:
        with self._store.write() as connection:
            connection.execute("DELETE FROM events_waiting WHERE stream = ?", (stream,))

    def claim(self, stream: str, *, now: int, until: int) -> bool:
        with self._store.write() as connection:
            done = connection.execute(
                "UPDATE event_streams SET busy_until = ? WHERE id = ? AND (busy_until <= ? OR busy_until > ?)",
                (until, stream, now, until),
            )
            return done.rowcount == 1

    def release(self, stream: str, *, attempts: int, next_at: int) -> None:
        with self._store.write() as connection:
            connection.execute(
                "UPDATE event_streams SET attempts = ?, next_at = ?, busy_until = 0 WHERE id = ?",
                (attempts, next_at, stream),
            )


def _add(connection: sqlite3.Connection, one: Waiting, waiting_max: int) -> None:
    if connection.execute(
        "SELECT 1 FROM events_waiting WHERE stream = ? AND id = ?", (one.stream, one.id)
    ).fetchone():
        return
    done = connection.execute(
        "INSERT INTO events_waiting (stream, id, at, body, shown) SELECT ?, ?, ?, ?, 0 "
        "WHERE (SELECT count(*) FROM events_waiting WHERE stream = ?) < ? "
        "AND EXISTS (SELECT 1 FROM event_streams WHERE id = ?)",
        (one.stream, one.id, one.at, one.body, one.stream, waiting_max, one.stream),
    )
    if done.rowcount != 1:
        connection.execute("UPDATE event_streams SET left_out = left_out + 1 WHERE id = ?", (one.stream,))


def stream_in_row(row: tuple[object, ...]) -> EventStream:
    """Parse a row of id, body and revision. Raises Malformed (`event_stream.kept`, `json.*`)."""
    return stream_in(octets(row[1]), identity=text(row[0]), revision=whole(row[2]))
