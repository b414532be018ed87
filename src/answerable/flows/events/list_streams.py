"""How streams of events and webhooks stand, for the owner of this deployment."""

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
    """may_hear: whether it is sent anything just now; not, where its receiver was revoked or is not listed any more."""

    stream: EventStream
    queue: QueueState
    may_hear: bool


async def list_streams(desk: EventState) -> tuple[StreamState, ...]:
    """All of them, in the order in which they were made. Raises Unavailable (`register.*`)."""
    streams = await in_register(desk.register.streams)
    return tuple(
        [
            StreamState(
                stream=one, queue=await in_register(desk.register.queue, one.id), may_hear=desk.may_hear(one)
            )
            for one in streams
        ]
    )
