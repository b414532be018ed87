"""Deliver an upstream's events to one caller, and check each event against the mandate again before sending it.

The modern era has a stream for each `subscriptions/listen`; the session-based era has one follower for each session.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
from mcp.shared.subscriptions import event_from_wire, event_to_notification

from answerable.apps.mcp_gateway.visible import allows

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.session import ServerSession
    from mcp_types import ServerNotification

    from answerable.apps.mcp_gateway.services import Visible, Watch
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.caller import VerifiedCaller

LIST_CHANGES: Final = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
UPDATED: Final = "notifications/resources/updated"


class EventQueue:
    """Pending events, each once. Overflow closes the queue: a slow caller must read the resources again."""

    __slots__ = ("_closed", "_maximum", "_waiting", "_wake")

    def __init__(self, maximum: int) -> None:
        self._waiting: deque[tuple[str, str]] = deque()
        self._wake = anyio.Event()
        self._maximum = maximum
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing more will be delivered."""
        return self._closed

    def put(self, method: str, uri: str) -> None:
        """Add an event; never waits."""
        if (method, uri) in self._waiting:
            return
        if len(self._waiting) >= self._maximum:
            self.close()
            return
        self._waiting.append((method, uri))
        self._wake.set()

    def close(self) -> None:
        """Close the queue: nothing more is delivered."""
        self._closed = True
        self._wake.set()

    async def take(self) -> tuple[str, str] | None:
        """Return the next event; None once closed."""
        while not self._closed:
            if self._waiting:
                return self._waiting.popleft()
            self._wake = anyio.Event()
            await self._wake.wait()
        return None


@dataclass(slots=True, kw_only=True)
class Granted:
    """Resources whose updates the walk allowed to one caller, each with the mandate and hops of its request.

    use: the governed method, `resources/subscribe` or `subscriptions/listen`. released: for resources that are cut
    individually when held, what ends that.
    """

    server: str
    use: str
    visible: Visible
    mandates: dict[str, tuple[VerifiedCaller, str, str]] = field(default_factory=dict)
    released: dict[str, Callable[[], None]] = field(default_factory=dict)

    def allows(self, uri: str) -> bool:
        """Whether the mandate could still allow the resource now; if not, the resource is removed."""
        granted = self.mandates.get(uri)
        if granted is None:
            return False
        caller, mandate_id, delegation = granted
        if allows(self.visible(caller, mandate_id, self.server, delegation=delegation), self.use, uri):
            return True
        self.forget(uri)
        return False

    def forget(self, uri: str) -> None:
        """Remove the resource: none of its updates is delivered any more."""
        self.mandates.pop(uri, None)
        if (released := self.released.pop(uri, None)) is not None:
            released()


def notification(method: str, uri: str, meta: dict[str, JSONValue] | None = None) -> ServerNotification:
    """Return the event as the SDK sends it."""
    event = event_from_wire(method, {"uri": uri})
    assert event is not None  # noqa: S101 - only these methods are put into a queue
    return event_to_notification(event, dict(meta or {}))


class Follower:
    """Delivers to one session the events that its agent may receive, until it is closed."""

    __slots__ = ("_queue", "_session", "granted", "watch")

    def __init__(self, session: ServerSession, granted: Granted, *, events_waiting_max: int) -> None:
        self._session = session
        self._queue = EventQueue(events_waiting_max)
        self.granted = granted
        self.watch: Watch | None = None

    @property
    def listener(self) -> Callable[[str, str], None]:
        """The function to call with every event."""
        return self._queue.put

    @property
    def is_closed(self) -> bool:
        """Whether the follower is closed."""
        return self._queue.is_closed

    def close(self) -> None:
        """Stop receiving and sending."""
        self._queue.close()
        for uri in list(self.granted.mandates):
            self.granted.forget(uri)
        if self.watch is not None:
            self.watch.close()

    async def run(self) -> None:
        """Deliver until closed. Never raises anything but cancellation; a session that is gone drops what it is
        sent."""
        while (event := await self._queue.take()) is not None:
            method, uri = event
            if method == UPDATED and not self.granted.allows(uri):
                if self.watch is not None:
                    self.watch.drop(uri)
                continue
            if method in LIST_CHANGES or method == UPDATED:
                await self._session.send_notification(notification(method, uri))
