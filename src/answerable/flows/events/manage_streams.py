"""Create, read, change and delete event streams for their receiver (SSF 1.0, section 8.1). A receiver reaches only its
own."""

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
from answerable.core.incident.stream_entry import stream_changed
from answerable.core.ledger.subject import agent_subject
from answerable.errors import Refused, shown
from answerable.errors.codes.events import (
    EVENT_STREAM_COUNT,
    EVENT_STREAM_FULL,
    EVENT_STREAM_MEMBER,
    EVENT_STREAM_RECEIVER,
    EVENT_STREAM_TOO_OFTEN,
    EVENT_STREAM_UNKNOWN,
)
from answerable.flows.events.event_desk import changed, in_register
from answerable.flows.recording.record_entry import record_entry, sealing_for
from answerable.ports.event_register import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.stream_entry import StreamChange
    from answerable.flows.events.event_desk import EventState

PREFIX: Final = "/ssf/"
POLL: Final = PREFIX + "poll/"
STATE_CHARS_MAX: Final = 1_024
RECORDED_BYTES_MAX: Final = 1_048_576
"""Longest total of ledger entries for changes of one receiver's streams, in RECORDED_SECONDS."""
RECORDED_SECONDS: Final = 3_600


async def create_stream(
    desk: EventState, receiver: str, sent: Mapping[str, JSONValue]
) -> dict[str, JSONValue]:
    """Create a stream. Raises Malformed (`event_stream.*`), Refused (`event_stream.receiver`, `event_stream.count`)."""
    allowed = _endpoints(desk, receiver)
    identity = desk.recorder.entropy.token()
    log = desk.recorder.ledger.origin
    fresh = EventStream(id=identity, receiver=receiver, method="poll", since={log: desk.recorder.ledger.size})
    wanted = configured(fresh, sent, endpoints=allowed, ours={}, whole=True)
    # Counting and storing wait for threads: another creation between them would count the same streams.
    async with desk.creating:
        mine = [one for one in await in_register(desk.register.streams) if _is_of(one, receiver)]
        if len(mine) >= desk.limits.streams_max:
            raise EVENT_STREAM_COUNT(
                f"a receiver has at most {desk.limits.streams_max} streams: change or delete one of them"
            )
        # 1. In the ledger. After a crash here, the entry names a stream that is not stored and that its receiver never
        # learned of.
        left = await _recorded(desk, wanted, "made")
        # 2. In the register.
        await in_register(desk.register.put, wanted)
    if left is not None:
        raise left
    return _shown(desk, wanted)


async def read_streams(desk: EventState, receiver: str) -> list[JSONValue]:
    """Return all streams of the receiver. Raises Refused (`event_stream.receiver`)."""
    _endpoints(desk, receiver)
    return [_shown(desk, one) for one in await in_register(desk.register.streams) if _is_of(one, receiver)]


async def read_stream(desk: EventState, receiver: str, identity: str) -> dict[str, JSONValue]:
    """Return one stream of the receiver. Raises Refused (`event_stream.receiver`, `event_stream.unknown`)."""
    return _shown(desk, await stream_of(desk, receiver, identity))


async def change_stream(
    desk: EventState, receiver: str, sent: Mapping[str, JSONValue], *, whole: bool
) -> dict[str, JSONValue]:
    """Update a stream (PATCH), or with `whole` replace it (PUT). Raises as `create_stream` and `read_stream`."""
    allowed = _endpoints(desk, receiver)

    def change(stream: EventStream) -> EventStream:
        ours = _shown(desk, stream)
        return configured(stream, sent, endpoints=allowed, ours=ours, whole=whole)

    found = await _changed(desk, receiver, _named(sent), change, said="configured")
    desk.tell()
    return _shown(desk, found)


async def delete_stream(desk: EventState, receiver: str, identity: str) -> None:
    """Delete a stream and its queue. Raises as `read_stream`."""
    found = await stream_of(desk, receiver, identity)
    try:
        # 1. In the ledger. After a crash here, the next start removes the stream.
        left = await _recorded(desk, found, "removed")
    finally:
        # 2. In the register, also with a full ledger: then only the entry is missing.
        await in_register(desk.register.remove, found.id)
    if left is not None:
        raise left


async def read_status(desk: EventState, receiver: str, identity: str) -> dict[str, JSONValue]:
    """Return the status and its reason. Raises as `read_stream`."""
    return _status(await stream_of(desk, receiver, identity))


async def change_status(
    desk: EventState, receiver: str, sent: Mapping[str, JSONValue]
) -> dict[str, JSONValue]:
    """Enable, pause or disable. Disabling deletes the queued events. Raises as `read_stream`, and Malformed
    (`event_stream.member`)."""
    status, reason = status_in(sent)
    found = await _changed(
        desk,
        receiver,
        _named(sent),
        lambda stream: replace(stream, status=status, reason=reason, update=""),
        said="status",
    )
    if status == "disabled":
        await in_register(desk.register.drop, found.id)
    desk.tell()
    return _status(found)


async def add_subject(desk: EventState, receiver: str, sent: Mapping[str, JSONValue]) -> None:
    """Include a subject again. All subjects are included at first, so adding one that was never removed changes
    nothing. Raises as `change_status`."""
    subject = subject_in(sent)

    def change(stream: EventStream) -> EventStream:
        return replace(stream, removed=tuple(one for one in stream.removed if one != subject))

    await _changed(desk, receiver, _named(sent), change, said="subject_added", subject=subject)


async def remove_subject(desk: EventState, receiver: str, sent: Mapping[str, JSONValue]) -> None:
    """Exclude a subject. Raises as `change_status`, and Refused (`event_stream.count`)."""
    subject = subject_in(sent)

    def change(stream: EventStream) -> EventStream:
        if subject in stream.removed:
            return stream
        if len(stream.removed) >= SUBJECTS_MAX:
            raise EVENT_STREAM_COUNT(
                f"at most {SUBJECTS_MAX} subjects can be excluded from a stream: request fewer event types"
            )
        return replace(stream, removed=(*stream.removed, subject))

    await _changed(desk, receiver, _named(sent), change, said="subject_removed", subject=subject)


async def verify_stream(desk: EventState, receiver: str, sent: Mapping[str, JSONValue]) -> None:
    """Queue a verification event. Raises as `change_status`, and Refused (`event_stream.too_often`,
    `event_stream.full`)."""
    state = sent.get("state")
    if state is not None and (not isinstance(state, str) or len(state) > STATE_CHARS_MAX):
        raise EVENT_STREAM_MEMBER(f"`state` must be text of at most {STATE_CHARS_MAX} characters")
    now = desk.recorder.clock.now()

    def change(stream: EventStream) -> EventStream:
        if 0 <= now - stream.verified_at < VERIFY_SECONDS_MIN * 1000:
            raise EVENT_STREAM_TOO_OFTEN(
                f"a stream can be verified every {VERIFY_SECONDS_MIN} seconds: wait and try again"
            )
        return replace(stream, verified_at=now)

    found = await _changed(desk, receiver, _named(sent), change)
    if (await in_register(desk.register.queue, found.id)).waiting >= desk.limits.waiting_max:
        raise EVENT_STREAM_FULL()
    content = stream_event(VERIFICATION, found.id, {"state": state} if state is not None else {})
    event = Waiting(stream=found.id, id=desk.recorder.entropy.token(), at=now, body=encode(content))
    await in_register(desk.register.add, [event], waiting_max=desk.limits.waiting_max)
    desk.tell()


async def stream_of(desk: EventState, receiver: str, identity: str) -> EventStream:
    """Return a stream of the receiver. Raises Refused: `event_stream.receiver`, and `event_stream.unknown`, also for
    another receiver's stream, so that its existence is not disclosed."""
    _endpoints(desk, receiver)
    found = await in_register(desk.register.find, identity)
    if found is None or not _is_of(found, receiver):
        raise _unknown(identity)
    return found


async def _changed(
    desk: EventState,
    receiver: str,
    identity: str,
    change: Callable[[EventStream], EventStream],
    *,
    said: StreamChange | None = None,
    subject: str = "",
) -> EventStream:
    """Change the receiver's stream. said: the change to record; None for a change that the receiver did not make
    itself."""
    _endpoints(desk, receiver)

    async def record(wanted: EventStream) -> BaseException | None:
        return await _recorded(desk, wanted, said, subject) if said is not None else None

    def own(stream: EventStream) -> EventStream | None:
        return change(stream) if _is_of(stream, receiver) else None

    found = await changed(desk, identity, own, record=record)
    if found is None:
        raise _unknown(identity)
    return found


async def _recorded(
    desk: EventState, stream: EventStream, change: StreamChange, subject: str = ""
) -> BaseException | None:
    """Record the change; return the cancellation where the caller left. Raises Refused (`event_stream.too_often`) and
    Unavailable (`ledger.*`)."""
    sealing = sealing_for(desk.recorder, agent_subject(stream.receiver))
    entry = stream_changed(stream, change, at=desk.recorder.clock.now(), sealing=sealing, subject=subject)
    if change != "removed":
        _count(desk, stream.receiver, len(entry.leaf) + len(entry.attachment))
    return (await record_entry(desk.recorder, entry))[1]


def _count(desk: EventState, receiver: str, size: int) -> None:
    now = desk.recorder.clock.monotonic()
    since, before = desk.recorded.get(receiver, (now, 0))
    if now - since >= RECORDED_SECONDS:
        since, before = now, 0
    if before + size > RECORDED_BYTES_MAX:
        raise EVENT_STREAM_TOO_OFTEN(
            f"the stream changes of this receiver exceed {RECORDED_BYTES_MAX} bytes in "
            f"{RECORDED_SECONDS} seconds: wait and try again"
        )
    desk.recorded[receiver] = since, before + size


def _is_of(stream: EventStream, receiver: str) -> bool:
    return stream.method != "webhook" and stream.receiver == receiver


def _endpoints(desk: EventState, receiver: str) -> frozenset[str]:
    allowed = desk.receivers.get(receiver)
    if allowed is None:
        raise EVENT_STREAM_RECEIVER(
            f"{shown(receiver)} is not a receiver of events: the operator must list it in "
            "`announcing.receivers`"
        )
    return allowed


def _named(sent: Mapping[str, JSONValue]) -> str:
    identity = sent.get("stream_id")
    if not isinstance(identity, str):
        raise EVENT_STREAM_MEMBER("`stream_id` is missing")
    return identity


def _shown(desk: EventState, stream: EventStream) -> dict[str, JSONValue]:
    return configuration(stream, issuer=desk.issuer(), poll_url=f"{desk.issuer()}{POLL}{stream.id}")


def _status(stream: EventStream) -> dict[str, JSONValue]:
    found: dict[str, JSONValue] = {"stream_id": stream.id, "status": stream.status}
    return found | ({"reason": stream.reason} if stream.reason else {})


def _unknown(identity: str) -> Refused:
    return EVENT_STREAM_UNKNOWN(f"you have no stream {shown(identity)}")
