"""List the state of all event streams and webhooks, for the operator of this deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.flows.events.event_desk import in_register

if TYPE_CHECKING:
    from answerable.core.incident.event_stream import EventStream
    from answerable.flows.events.event_desk import EventState
    from answerable.ports.event_register import QueueState


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """A stream and its queue. may_hear: whether anything is sent to it now; false where its receiver was revoked or is
    no longer listed."""

    stream: EventStream
    queue: QueueState
    may_hear: bool


async def list_streams(desk: EventState) -> tuple[StreamState, ...]:
    """Return all streams in the order of creation. Raises Unavailable (`register.*`)."""
    streams = await in_register(desk.register.streams)
    return tuple(
        [
            StreamState(
                stream=one, queue=await in_register(desk.register.queue, one.id), may_hear=desk.may_hear(one)
            )
            for one in streams
        ]
    )
