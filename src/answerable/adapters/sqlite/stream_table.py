"""Load, save and compare event streams as projections of the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.events import stream_in_row
from answerable.adapters.sqlite.unreadable import fetched, named
from answerable.core.incident.projected_streams import (
    STREAM_TAGS,
    StreamRow,
    as_told,
    stored_as,
    stream_after,
    streams_in,
)
from answerable.core.incident.stream_form import encoded_stream
from answerable.errors import AnswerableError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from answerable.adapters.sqlite.unreadable import Row
    from answerable.core.incident.event_stream import EventStream
    from answerable.core.ledger.projected import Told

_STREAM: Final = "SELECT id, body, revision FROM event_streams"


class StreamTable:
    """Event streams of receivers, by id. Webhooks are made from the settings at each start, and appear in no entry."""

    name: Final = "event_streams"
    tags: Final = STREAM_TAGS

    def keys(self, told: Told) -> Iterable[str]:
        return streams_in(told)

    def after(self, key: str, row: StreamRow | None, told: Told) -> StreamRow | None:
        return stream_after(row, told)

    def load(self, connection: sqlite3.Connection, key: str) -> StreamRow | None:
        row = connection.execute(f"{_STREAM} WHERE id = ?", (key,)).fetchone()
        return as_told(stream_in_row(row)) if row is not None else None

    def save(self, connection: sqlite3.Connection, key: str, row: StreamRow | None) -> None:
        if row is None:
            connection.execute("DELETE FROM events_waiting WHERE stream = ?", (key,))
            connection.execute("DELETE FROM event_streams WHERE id = ?", (key,))
            return
        body = encoded_stream(stored_as(row, _stored(connection, key)))
        connection.execute(
            "INSERT INTO event_streams (id, body, revision) VALUES (?, ?, 1) "
            "ON CONFLICT (id) DO UPDATE SET body = excluded.body, revision = revision + 1",
            (key, body),
        )

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        for row in fetched(connection, _STREAM, ()):
            if not _is_webhook(row):
                yield named(row[0])

    def mended(self, live: StreamRow | None, told: StreamRow | None) -> StreamRow | None:
        """Return the corrected row. From which entry of another process's log on it is told is in no entry."""
        if live is None or told is None:
            return told
        since = {**live.stream.since, **told.stream.since}
        return replace(told, stream=replace(told.stream, since=since))


def _stored(connection: sqlite3.Connection, key: str) -> EventStream | None:
    row = connection.execute(f"{_STREAM} WHERE id = ?", (key,)).fetchone()
    try:
        return stream_in_row(row) if row is not None else None
    except AnswerableError:
        return None


def _is_webhook(row: Row) -> bool:
    try:
        return stream_in_row(row).method == "webhook"
    except AnswerableError:
        return False
