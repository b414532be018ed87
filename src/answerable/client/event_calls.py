"""Operations of the control API on the subject `event`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.event_answers import EventStream
from answerable.api.members import Page
from answerable.client.transport import Transport, items_of


def list_event_streams(control: Transport) -> Iterator[EventStream]:
    """Receivers that are notified when a right to act ends, and their states."""
    return items_of(control, Page[EventStream], "/v1/event-streams")
