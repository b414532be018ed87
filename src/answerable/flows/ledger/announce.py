"""Announcing: our log is read on, and what it says that others are to know is put into their streams.

The entry comes first and is the source. A crash between it and the streams: the next start reads on from where the
streams were last filled, and what is there already is passed over by its id. So none is lost and none is doubled here;
a receiver may still be sent one twice, and knows it by its `jti`.
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
"""Between two such readings, so that actions do not wait."""
KEPT_AFTER_ENTRIES: Final = 5_000
"""How many entries that announce nothing are read before that is kept, too."""
ROUND_SECONDS: Final = 0.2
_log: Final = logging.getLogger(__name__)


async def announce(
    desk: EventState, told: Sequence[Announcement], *, log: str = "", read_to: int = 0
) -> None:
    """Put what these say into every stream whose receiver wants it. log, read_to: how far a log has been read with
    that. Raises Unavailable (`register.*`)."""
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
    """One round: what our log has that was not read. Raises Unavailable (`register.*`)."""
    walk = desk.walk
    log, size = walk.ledger.origin, walk.ledger.size
    streams = await in_register(desk.register.streams)
    if desk.read_to is None:
        start, first = await _beginning(desk, streams, log, size), size
        for stream in streams:
            # A crash may have come between counting what was left out and saying so.
            await _say_left_out(desk, stream.id)
    else:
        start = first = desk.read_to
    if not streams:
        desk.read_to = size
        return
    for stream in streams:
        if log not in stream.since:
            # 1. From here on it is told of everything. A crash after this line: it still is, from this entry on.
            await changed(desk, stream.id, partial(_seen, log=log, first=first))
    kept = start
    while start < size:
        found, start = _read(desk, start, size)
        if found or start - kept >= KEPT_AFTER_ENTRIES:
            # 2. What it says and how far we have read, in one write. A crash before it reads the same again.
            await announce(desk, found, log=log, read_to=start)
            kept = start
        desk.read_to = start
        if start < size:
            await anyio.sleep(PAUSE_SECONDS)


async def announce_always(desk: EventState, *, seconds: float = ROUND_SECONDS) -> None:
    """Round after round, until cancelled. Nothing that fails here stops anything else."""
    troubled = False
    while True:
        try:
            if desk.read_to != desk.walk.ledger.size:
                await announce_new(desk)
            troubled = False
        except AnswerableError as error:
            if not troubled:
                _log.warning("what is to be announced waits: %s", error.message)
            troubled = True
        await anyio.sleep(seconds)


async def _beginning(desk: EventState, streams: Sequence[EventStream], log: str, size: int) -> int:
    """Where a process reads on: where its log was last read, and not before the first stream wanted to hear of it."""
    known = [stream.since[log] for stream in streams if log in stream.since]
    if not known:
        return size
    kept = await in_register(desk.register.read_to, log) or 0
    return min(max(kept, min(known)), size)


def _read(desk: EventState, start: int, size: int) -> tuple[list[Announcement], int]:
    walk = desk.walk
    found: list[Announcement] = []
    for stored in islice(walk.ledger.replay(start), min(ENTRIES_AT_A_TIME, size - start)):
        found += announcements_in(stored, walk.ledger.origin, walk.subject_keys.find)
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
    """A stream that is full: its receiver is told how many it was not sent, and is paused unless nobody could go on."""
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
        # Nobody could enable it again; the number is said as soon as it can be reached.
        return replace(stream, update=update) if not stream.update else None
    reason = f"{left_out} events were left out so far, because {limit} waited already"
    if stream.status == "paused":
        update = (
            stream.update
        )  # Its receiver has been told, or will be, and reads the number when it comes back.
    return replace(stream, status="paused", reason=reason, left_out=left_out, update=update)
