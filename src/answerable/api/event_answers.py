"""Receivers that are notified when a right to act ends."""

from __future__ import annotations

from answerable.api.members import Component, Count, Instant
from answerable.core.incident.event_stream import Method, Status


class EventStream(Component, frozen=True, kw_only=True):
    """One receiver. heard: whether it may receive. next_at: None where no attempt failed."""

    id: str
    receiver: str
    method: Method
    endpoint: str
    status: Status
    reason: str
    heard: bool
    waiting: Count
    left_out: Count
    refused: Count
    attempts: Count
    next_at: Instant | None
