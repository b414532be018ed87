"""What a receiver does with its streams of events (SSF 1.0, section 8.1): its own, and nobody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.incident.event_stream import (
    SUBJECTS_MAX,
    VERIFY_SECONDS_MIN,
    EventStream,
    configuration,
    configured,
    status_in,
    subject_in,
)
from answerable.core.incident.security_event import VERIFICATION, stream_event
from answerable.errors import Malformed, Refused, shown
from answerable.flows.event_desk import changed, in_register
from answerable.ports.event_register import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.flows.event_desk import EventDesk

PREFIX: Final = "/ssf/"
POLL: Final = PREFIX + "poll/"
STATE_CHARS_MAX: Final = 1_024


async def create_stream(
    desk: EventDesk, receiver: str, sent: Mapping[str, JSONValue]
) -> dict[str, JSONValue]:
    """A new stream. Raises Malformed (`event_stream.*`), Refused (`event_stream.receiver`, `event_stream.count`)."""
    allowed = _endpoints(desk, receiver)
    identity = desk.walk.entropy.token()
    log = desk.walk.ledger.origin
    fresh = EventStream(id=identity, receiver=receiver, method="poll", since={log: desk.walk.ledger.size})
    wanted = configured(fresh, sent, endpoints=allowed, ours={}, whole=True)
    mine = [one for one in await in_register(desk.register.streams) if _is_of(one, receiver)]
    if len(mine) >= desk.limits.streams_max:
        raise Refused(
            f"a receiver has at most {desk.limits.streams_max} streams: change or delete one of them",
            code="event_stream.count",
        )
    await in_register(desk.register.put, wanted)
    return _shown(desk, wanted)


async def read_streams(desk: EventDesk, receiver: str) -> list[JSONValue]:
    """All that the receiver has. Raises Refused (`event_stream.receiver`)."""
    _endpoints(desk, receiver)
    return [_shown(desk, one) for one in await in_register(desk.register.streams) if _is_of(one, receiver)]


async def read_stream(desk: EventDesk, receiver: str, identity: str) -> dict[str, JSONValue]:
    """One of them. Raises Refused (`event_stream.receiver`, `event_stream.unknown`)."""
    return _shown(desk, await stream_of(desk, receiver, identity))


async def change_stream(
    desk: EventDesk, receiver: str, sent: Mapping[str, JSONValue], *, whole: bool
) -> dict[str, JSONValue]:
    """Update (PATCH), or with `whole` replace (PUT). Raises as `create_stream` and `read_stream`."""
    allowed = _endpoints(desk, receiver)

    def change(stream: EventStream) -> EventStream:
        ours = _shown(desk, stream)
        return configured(stream, sent, endpoints=allowed, ours=ours, whole=whole)

    found = await _changed(desk, receiver, _named(sent), change)
    desk.tell()
    return _shown(desk, found)


async def delete_stream(desk: EventDesk, receiver: str, identity: str) -> None:
    """With all that waits in it. Raises as `read_stream`."""
    await in_register(desk.register.remove, (await stream_of(desk, receiver, identity)).id)


async def read_status(desk: EventDesk, receiver: str, identity: str) -> dict[str, JSONValue]:
    """Status, and why it is so. Raises as `read_stream`."""
    return _status(await stream_of(desk, receiver, identity))


async def change_status(
    desk: EventDesk, receiver: str, sent: Mapping[str, JSONValue]
) -> dict[str, JSONValue]:
    """Enable, pause or disable. What waits in a stream that is disabled is forgotten. Raises as `read_stream`, and
    Malformed (`event_stream.member`)."""
    status, reason = status_in(sent)
    found = await _changed(
        desk,
        receiver,
        _named(sent),
        lambda stream: replace(stream, status=status, reason=reason, update=""),
    )
    if status == "disabled":
        await in_register(desk.register.drop, found.id)
    desk.tell()
    return _status(found)


async def add_subject(desk: EventDesk, receiver: str, sent: Mapping[str, JSONValue]) -> None:
    """Hear of a subject again. All are there at first, so that one that was never removed changes nothing. Raises as
    `change_status`."""
    subject = subject_in(sent)

    def change(stream: EventStream) -> EventStream:
        return replace(stream, removed=tuple(one for one in stream.removed if one != subject))

    await _changed(desk, receiver, _named(sent), change)


async def remove_subject(desk: EventDesk, receiver: str, sent: Mapping[str, JSONValue]) -> None:
    """Hear no more of a subject. Raises as `change_status`, and Refused (`event_stream.count`)."""
    subject = subject_in(sent)

    def change(stream: EventStream) -> EventStream:
        if subject in stream.removed:
            return stream
        if len(stream.removed) >= SUBJECTS_MAX:
            raise Refused(
                f"at most {SUBJECTS_MAX} subjects are left out of a stream: ask for fewer types of events",
                code="event_stream.count",
            )
        return replace(stream, removed=(*stream.removed, subject))

    await _changed(desk, receiver, _named(sent), change)


async def verify_stream(desk: EventDesk, receiver: str, sent: Mapping[str, JSONValue]) -> None:
    """Put a verification event into the stream. Raises as `change_status`, and Refused (`event_stream.too_often`,
    `event_stream.full`)."""
    state = sent.get("state")
    if state is not None and (not isinstance(state, str) or len(state) > STATE_CHARS_MAX):
        raise Malformed(
            f"`state` is a text of at most {STATE_CHARS_MAX} characters", code="event_stream.member"
        )
    now = desk.walk.clock.now()

    def change(stream: EventStream) -> EventStream:
        if 0 <= now - stream.verified_at < VERIFY_SECONDS_MIN * 1000:
            raise Refused(
                f"a stream is verified every {VERIFY_SECONDS_MIN} seconds at most: wait",
                code="event_stream.too_often",
            )
        return replace(stream, verified_at=now)

    found = await _changed(desk, receiver, _named(sent), change)
    if (await in_register(desk.register.queue, found.id)).waiting >= desk.limits.waiting_max:
        raise Refused("the stream is full: take what waits in it first", code="event_stream.full")
    content = stream_event(VERIFICATION, found.id, {"state": state} if state is not None else {})
    event = Waiting(stream=found.id, id=desk.walk.entropy.token(), at=now, body=encode(content))
    await in_register(desk.register.add, [event], waiting_max=desk.limits.waiting_max)
    desk.tell()


async def stream_of(desk: EventDesk, receiver: str, identity: str) -> EventStream:
    """One of the receiver's. Raises Refused: `event_stream.receiver`, and `event_stream.unknown`, also for another
    one's, of which nobody learns that it is there."""
    _endpoints(desk, receiver)
    found = await in_register(desk.register.find, identity)
    if found is None or not _is_of(found, receiver):
        raise _unknown(identity)
    return found


async def _changed(
    desk: EventDesk, receiver: str, identity: str, change: Callable[[EventStream], EventStream]
) -> EventStream:
    _endpoints(desk, receiver)
    found = await changed(desk, identity, lambda one: change(one) if _is_of(one, receiver) else None)
    if found is None:
        raise _unknown(identity)
    return found


def _is_of(stream: EventStream, receiver: str) -> bool:
    return stream.method != "webhook" and stream.receiver == receiver


def _endpoints(desk: EventDesk, receiver: str) -> frozenset[str]:
    allowed = desk.receivers.get(receiver)
    if allowed is None:
        raise Refused(
            f"{shown(receiver)} is not a receiver of events here: the owner of this server lists it in "
            "`announcing.receivers`",
            code="event_stream.receiver",
        )
    return allowed


def _named(sent: Mapping[str, JSONValue]) -> str:
    identity = sent.get("stream_id")
    if not isinstance(identity, str):
        raise Malformed("`stream_id` is missing", code="event_stream.member")
    return identity


def _shown(desk: EventDesk, stream: EventStream) -> dict[str, JSONValue]:
    return configuration(stream, issuer=desk.issuer(), poll_url=f"{desk.issuer()}{POLL}{stream.id}")


def _status(stream: EventStream) -> dict[str, JSONValue]:
    found: dict[str, JSONValue] = {"stream_id": stream.id, "status": stream.status}
    return found | ({"reason": stream.reason} if stream.reason else {})


def _unknown(identity: str) -> Refused:
    return Refused(f"there is no stream {shown(identity)} of yours", code="event_stream.unknown")
