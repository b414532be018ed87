"""Revocation event streams and webhooks: list each with its delivery state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import urlsplit

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import COUNT, FLAG, INSTANT, TEXT, choice, nullable, record
from answerable.core.incident.event_stream import METHODS, STATUSES
from answerable.flows.events.list_streams import list_streams

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.canonical import JSONValue
    from answerable.flows.events.event_desk import EventState
    from answerable.flows.events.list_streams import StreamState


class _Announcing(Protocol):
    """What these operations need of the product in addition to `Product`."""

    @property
    def events(self) -> EventState: ...


async def list_event_streams(call: Call) -> Answer:
    """List every stream and webhook: events waiting, left out or refused, and the time of the next attempt."""
    found = await list_streams(cast("_Announcing", call.product).events)
    return page_of(call, found, name=lambda one: one.stream.id, render=_stream)


def _stream(one: StreamState) -> JSONValue:
    stream, queue = one.stream, one.queue
    return {
        "id": stream.id,
        "receiver": stream.receiver,
        "method": stream.method,
        "endpoint": _shown_address(stream.endpoint),
        "status": stream.status,
        "reason": stream.reason,
        "heard": one.may_hear,
        "waiting": queue.waiting,
        "left_out": queue.left_out,
        "refused": stream.refused,
        "attempts": queue.attempts,
        "next_at": instant(queue.next_at) if queue.attempts else None,
    }


def _shown_address(url: str) -> str:
    """Return the URL without what may be a key: user information and the values of the query."""
    parts = urlsplit(url)
    members = [one.rpartition("=") for one in parts.query.split("&")] if parts.query else []
    query = "&".join(f"{name}{equals}…" for name, equals, _ in members)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()


COMPONENTS: Final[dict[str, Schema]] = {
    "EventStream": record(
        {
            "id": TEXT,
            "receiver": TEXT,
            "method": choice(*METHODS),
            "endpoint": TEXT,
            "status": choice(*STATUSES),
            "reason": TEXT,
            "heard": FLAG,
            "waiting": COUNT,
            "left_out": COUNT,
            "refused": COUNT,
            "attempts": COUNT,
            "next_at": nullable(INSTANT),
        }
    ),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="list_event_streams",
        method="GET",
        path="/v1/event-streams",
        summary="Receivers that are notified when a right to act ends, and their states",
        answer="EventStream",
        page=True,
        run=list_event_streams,
    ),
)
