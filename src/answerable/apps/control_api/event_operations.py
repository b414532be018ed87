"""Revocation event streams and webhooks: list each with its delivery state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import urlsplit

from answerable.api import event_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.flows.events.list_streams import list_streams

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.flows.events.event_desk import EventState
    from answerable.flows.events.list_streams import StreamState


class _Announcing(Protocol):
    """What these operations need of the product in addition to `Product`."""

    @property
    def events(self) -> EventState: ...


@operation(
    "GET",
    "/v1/event-streams",
    id="list_event_streams",
    summary="Receivers that are notified when a right to act ends, and their states",
    answer=Page[answers.EventStream],
)
async def list_event_streams(call: Call) -> Page[answers.EventStream]:
    """List every stream and webhook: events waiting, left out or refused, and the time of the next attempt."""
    found = await list_streams(cast("_Announcing", call.product).events)
    return page_of(call, found, name=lambda one: one.stream.id, render=_stream)


def _stream(one: StreamState) -> answers.EventStream:
    stream, queue = one.stream, one.queue
    return answers.EventStream(
        id=stream.id,
        receiver=stream.receiver,
        method=stream.method,
        endpoint=_shown_address(stream.endpoint),
        status=stream.status,
        reason=stream.reason,
        heard=one.may_hear,
        waiting=queue.waiting,
        left_out=queue.left_out,
        refused=stream.refused,
        attempts=queue.attempts,
        next_at=instant(queue.next_at) if queue.attempts else None,
    )


def _shown_address(url: str) -> str:
    """Return the URL without what may be a key: user information and the values of the query."""
    parts = urlsplit(url)
    members = [one.rpartition("=") for one in parts.query.split("&")] if parts.query else []
    query = "&".join(f"{name}{equals}…" for name, equals, _ in members)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()


OPERATIONS: Final[tuple[Operation, ...]] = (list_event_streams,)
