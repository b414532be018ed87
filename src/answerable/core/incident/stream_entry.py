"""Build the entry about an event stream: its owner, its state, and the receiver's changes, so that the stream can be
rebuilt without its register.

The entry omits our own counters: queued events, refusals, verifications. It also omits the header by which a receiver
authenticates us, which is the receiver's secret: `authorized` states that a stream had one; a rebuilt stream is then
paused until its receiver sends the header again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.incident.event_stream import EventStream
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry

StreamChange = Literal["made", "configured", "status", "subject_added", "subject_removed", "removed"]


def stream_changed(
    stream: EventStream, change: StreamChange, *, at: UnixMillis, sealing: Sealing, subject: str = ""
) -> Entry:
    """Build the entry of a stream that a receiver made, changed or removed, with its new state. subject: one that was
    added or removed, as canonical JSON."""
    members: dict[str, JSONValue] = {
        "agent": stream.receiver,
        "change": change,
        "method": stream.method,
        "status": stream.status,
        "stream": stream.id,
    }
    said: dict[StreamChange, dict[str, JSONValue]] = {
        "made": {"configuration": {**_configuration(stream), "since": dict(stream.since)}},
        "configured": {"configuration": _configuration(stream)},
        "status": {"reason": stream.reason},
        "subject_added": {"subject": subject},
        "subject_removed": {"subject": subject},
        "removed": {},
    }
    sealed = [(name.encode(), encode(value)) for name, value in said[change].items()]
    return sealed_entry(
        Tag.EVENT_STREAM, at=at, members=members, fields=sealed, sealing=sealing if sealed else None
    )


def _configuration(stream: EventStream) -> dict[str, JSONValue]:
    return {
        "authorized": bool(stream.authorization),
        "description": stream.description,
        "endpoint": stream.endpoint,
        "requested": [*stream.requested] if stream.requested is not None else None,
    }
