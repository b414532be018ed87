"""Announce ledger entries: read this process's log and queue the events that others subscribe to in their streams.

The entry comes first and is the source. After a crash between entry and queue, the next start reads on from where the
queues were last filled and skips queued events by their id. No event is lost or queued twice; a receiver may still be
sent an event twice, and recognises it by its `jti`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.canonical import encode
from answerable.core.incident.announcement import announcements_in
from answerable.core.incident.cloud_event import cloud_event
from answerable.core.incident.event_stream import left_out_reason
from answerable.core.incident.security_event import events_of, subject_of
from answerable.errors import AnswerableError
from answerable.flows.events.event_desk import changed, in_register
from answerable.ports.event_register import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.incident.announcement import Announcement
    from answerable.core.incident.event_stream import EventStream
    from answerable.flows.events.event_desk import EventState

ENTRIES_AT_A_TIME: Final = 200
PAUSE_SECONDS: Final = 0.01
"""Pause between two such readings, so that actions do not wait."""
KEPT_AFTER_ENTRIES: Final = 5_000
"""Entries without announcements after which the read position is stored anyway."""
ROUND_SECONDS: Final = 0.2
_log: Final = logging.getLogger(__name__)


async def announce(
    desk: EventState, told: Sequence[Announcement], *, log: str = "", read_to: int = 0
) -> None:
    """Queue these announcements in every stream whose receiver wants them. log, read_to: how far a log has been read,
    stored in the same write. Raises Unavailable (`register.*`)."""
    streams = await in_register(desk.register.streams)
    events = [event for stream in streams for one in told for event in _for_stream(desk, stream, one)]
    await in_register(
        desk.register.add, events, waiting_max=desk.limits.waiting_max, log=log, read_to=read_to
    )
    for stream in {event.stream for event in events}:
        await _say_left_out(desk, stream)
    if events:
        desk.tell()


async def announce_new(desk: EventState) -> None:
    """Announce the new entries of this process's log, in one round. Raises Unavailable (`register.*`)."""
    log, size = desk.recorder.ledger.origin, desk.recorder.ledger.size
    streams = await in_register(desk.register.streams)
    if desk.read_to is None:
        start, first = await _beginning(desk, streams, log, size), size
        for stream in streams:
            # A crash may have come between counting the events left out and reporting them.
            await _say_left_out(desk, stream.id)
    else:
        start = first = desk.read_to
    if not streams:
        desk.read_to = size
        return
    for stream in streams:
        if log not in stream.since:
            # 1. Store from which entry on the stream gets everything. After a crash here, that stays in force.
            await changed(desk, stream.id, partial(_seen, log=log, first=first))
    kept = start
    while start < size:
        found, start = _read(desk, start, size)
        if found or start - kept >= KEPT_AFTER_ENTRIES:
            # 2. Store events and read position in one write. After a crash before it, the same entries are read again.
            await announce(desk, found, log=log, read_to=start)
            kept = start
        desk.read_to = start
        if start < size:
            await anyio.sleep(PAUSE_SECONDS)


async def announce_always(desk: EventState, *, seconds: float = ROUND_SECONDS) -> None:
    """Announce in rounds until cancelled. A failure here stops nothing else."""
    troubled = False
    while True:
        try:
            if desk.read_to != desk.recorder.ledger.size:
                await announce_new(desk)
            troubled = False
        except AnswerableError as error:
            if not troubled:
                _log.warning("what is to be announced waits: %s", error.message)
            troubled = True
        await anyio.sleep(seconds)


async def _beginning(desk: EventState, streams: Sequence[EventStream], log: str, size: int) -> int:
    """Return where a process reads on: where its log was last read, but not before the first stream's start."""
    known = [stream.since[log] for stream in streams if log in stream.since]
    if not known:
        return size
    kept = await in_register(desk.register.read_to, log) or 0
    return min(max(kept, min(known)), size)


def _read(desk: EventState, start: int, size: int) -> tuple[list[Announcement], int]:
    found: list[Announcement] = []
    for stored in islice(desk.recorder.ledger.replay(start), min(ENTRIES_AT_A_TIME, size - start)):
        found += announcements_in(stored, desk.recorder.ledger.origin, desk.recorder.subject_keys.find)
        start = stored.index + 1
    return found, start


def _seen(stream: EventStream, *, log: str, first: int) -> EventStream | None:
    return None if log in stream.since else replace(stream, since={**stream.since, log: first})


def _for_stream(desk: EventState, stream: EventStream, told: Announcement) -> Iterator[Waiting]:
    if told.entry < stream.since.get(told.log, 0) or stream.status == "disabled":
        return
    if stream.method == "webhook":
        if (told.name in stream.groups) if told.change == "notified" else stream.stops:
            identity = told.id(stream.id)
            body = cloud_event(told, source=desk.issuer(), identity=identity)
            yield Waiting(stream=stream.id, id=identity, at=told.at, body=body)
        return
    if stream.receiver not in desk.receivers:
        return
    for kind, content in events_of(told, desk.issuer()):
        if stream.wants(kind, subject_of(told, desk.issuer())):
            yield Waiting(stream=stream.id, id=told.id(stream.id, kind), at=told.at, body=encode(content))


async def _say_left_out(desk: EventState, stream: str) -> None:
    """Tell the receiver of a full stream how many events were left out. Pause the stream, unless nobody could enable it
    again."""
    queue = await in_register(desk.register.queue, stream)
    kept = await changed(
        desk, stream, partial(_paused, left_out=queue.left_out, limit=desk.limits.waiting_max)
    )
    if kept is not None:
        _log.error(
            "events for %s are left out: %d wait already, %d were not kept; the ledger has them",
            kept.receiver,
            queue.waiting,
            queue.left_out,
        )


def _paused(stream: EventStream, *, left_out: int, limit: int) -> EventStream | None:
    if left_out <= stream.left_out:
        return None
    update = f"{stream.id}.{stream.revision}"
    if stream.method == "webhook":
        # Nobody could enable a paused webhook again; it gets the number as soon as it can be reached.
        return replace(stream, update=update) if not stream.update else None
    reason = left_out_reason(left_out, limit)
    if stream.status == "paused":
        update = stream.update  # Its receiver was notified, or will be, and reads the number later.
    return replace(stream, status="paused", reason=reason, left_out=left_out, update=update)
