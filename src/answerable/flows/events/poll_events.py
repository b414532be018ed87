"""Serve polls (RFC 8936): a receiver acknowledges the events it has, and gets those that wait."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.canonical import parse
from answerable.errors.codes.events import EVENT_STREAM_KEPT, EVENT_STREAM_MEMBER
from answerable.flows.events.deliver_events import set_aside, update_of
from answerable.flows.events.event_desk import changed, in_register
from answerable.flows.events.manage_streams import stream_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.event_stream import EventStream
    from answerable.flows.events.event_desk import EventState

EVENTS_MAX: Final = 100
"""Events in one answer."""
ACKS_MAX: Final = 1_000
ID_CHARS_MAX: Final = 256
ERROR_CHARS_MAX: Final = 80
POLLS_MAX: Final = 2
"""Polls of one stream that may wait concurrently; a further one is answered without waiting."""
LOOK_SECONDS: Final = 0.5
"""How often a waiting poll checks for events queued by another process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A poll request (RFC 8936, section 2.2). errors: by event id, why it was not accepted."""

    acks: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    count_max: int = EVENTS_MAX
    at_once: bool = False


def poll_in(sent: Mapping[str, JSONValue]) -> Poll:
    """Parse a poll request. Raises Malformed (`event_stream.member`)."""
    acks, errors = sent.get("ack", []), sent.get("setErrs", {})
    if not isinstance(acks, list) or not isinstance(errors, dict) or len(acks) + len(errors) > ACKS_MAX:
        raise EVENT_STREAM_MEMBER(
            f"`ack` must be a list and `setErrs` an object, of at most {ACKS_MAX} ids together"
        )
    said: dict[str, str] = {}
    for identity, error in errors.items():
        name = error.get("err") if isinstance(error, dict) else None
        if not isinstance(name, str):
            raise EVENT_STREAM_MEMBER("each member of `setErrs` must be an object with a text `err`")
        said[identity] = name[:ERROR_CHARS_MAX]
    ids = tuple(one for one in acks if isinstance(one, str))
    if len(ids) != len(acks) or any(len(one) > ID_CHARS_MAX for one in (*ids, *said)):
        raise EVENT_STREAM_MEMBER(f"event ids must be texts of at most {ID_CHARS_MAX} characters")
    count, at_once = sent.get("maxEvents", EVENTS_MAX), sent.get("returnImmediately", False)
    if type(count) is not int or count < 0 or not isinstance(at_once, bool):
        raise EVENT_STREAM_MEMBER("`maxEvents` must be a number from 0, `returnImmediately` true or false")
    return Poll(acks=ids, errors=said, count_max=min(count, EVENTS_MAX), at_once=at_once)


async def poll_events(desk: EventState, receiver: str, identity: str, poll: Poll) -> dict[str, JSONValue]:
    """Return the answer to a poll. Raises Malformed, Refused (`event_stream.*`), Unavailable, Broken."""
    if (await stream_of(desk, receiver, identity)).method != "poll":
        raise EVENT_STREAM_MEMBER("this stream is delivered by push: change its `delivery` to poll it")
    # 1. Remove acknowledged events, if they were sent: no receiver acknowledges an event that it never got.
    await _acknowledged(desk, identity, poll)
    if poll.count_max == 0:
        return {"sets": {}, "moreAvailable": (await in_register(desk.register.queue, identity)).waiting > 0}
    # 2. Send queued events. After a crash here, they are sent again.
    ends = anyio.current_time() + desk.limits.poll_seconds_max
    waits = not poll.at_once and desk.polls.get(identity, 0) < POLLS_MAX
    if waits:
        desk.polls[identity] = desk.polls.get(identity, 0) + 1
    try:
        while True:
            news = desk.news
            stream = await stream_of(desk, receiver, identity)
            answer = await _given(desk, stream, poll.count_max)
            if answer["sets"] or not waits or anyio.current_time() >= ends:
                return answer
            with anyio.move_on_after(LOOK_SECONDS):
                await news.wait()
    finally:
        if waits:
            desk.polls[identity] -= 1
            if not desk.polls[identity]:
                del desk.polls[identity]


async def _acknowledged(desk: EventState, identity: str, poll: Poll) -> None:
    ids = (*poll.acks, *poll.errors)
    if not ids:
        return
    refused = {}
    for one, error in poll.errors.items():
        # One by one: only an event that was sent and still waits can be refused, and it is counted once.
        if await in_register(desk.register.taken, identity, [one], only_shown=True):
            refused[one] = error
    await in_register(desk.register.taken, identity, poll.acks, only_shown=True)

    def told(stream: EventStream) -> EventStream | None:
        return replace(stream, update="") if stream.update and stream.update in ids else None

    await changed(desk, identity, told)
    if refused:
        await set_aside(desk, identity, refused)


async def _given(desk: EventState, stream: EventStream, count_max: int) -> dict[str, JSONValue]:
    sets: dict[str, JSONValue] = {}
    if stream.update:
        at = desk.recorder.clock.now()
        sets[stream.update] = desk.signed(stream, update_of(stream), identity=stream.update, at=at)
    more = False
    if stream.status == "enabled":
        found = await in_register(desk.register.waiting, stream.id, count_max=count_max + 1)
        room = count_max - len(sets)
        for one in found[:room]:
            content = parse(one.body)
            if not isinstance(content, dict):
                raise EVENT_STREAM_KEPT("a waiting event is not a JSON object")
            sets[one.id] = desk.signed(stream, content, identity=one.id, at=one.at)
        if given := [one.id for one in found[:room]]:
            await in_register(desk.register.shown, stream.id, given)
        more = len(found) > room
    return {"sets": sets, "moreAvailable": more}
