"""What the entry about a stream of events says: whose it is, how it stands, and what its receiver changed of it, so
that it can be made again without the register that keeps it.

What is only ours to count is not in it: what waits, what was refused, when it was verified. Nor is the header by which
a receiver knows us, which is a secret of theirs: of a stream that had one, `authorized` says so, and it is to be paused
until its receiver says the header anew.
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
    """A receiver made, changed or removed its stream, which is as it stands from here on. subject: that it hears of
    again, or no more, as canonical JSON."""
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
