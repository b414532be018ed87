"""The stored form of an event stream: canonical JSON. New members have defaults, so that old streams can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode, parse
from answerable.core.incident.event_stream import METHODS, STATUSES, EventStream
from answerable.errors.codes.events import EVENT_STREAM_KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

_TEXTS = ("receiver", "endpoint", "authorization", "description", "reason", "update")
_LISTS = ("removed", "groups")
_NUMBERS = ("refused", "left_out", "verified_at")


def encoded_stream(stream: EventStream) -> bytes:
    """Encode everything except id and revision, which are stored beside it."""
    found: dict[str, JSONValue] = {name: getattr(stream, name) for name in (*_TEXTS, *_NUMBERS)}
    found |= {name: [*getattr(stream, name)] for name in _LISTS}
    return encode(
        found
        | {
            "method": stream.method,
            "status": stream.status,
            "stops": stream.stops,
            "since": dict(stream.since),
            "requested": [*stream.requested] if stream.requested is not None else None,
        }
    )


def stream_in(body: bytes, *, identity: str, revision: int) -> EventStream:
    """Parse a stored stream. Raises Malformed (`event_stream.kept`, `json.*`) for data that we did not write."""
    kept = parse(body)
    if not isinstance(kept, dict):
        raise EVENT_STREAM_KEPT("not a stored event stream")
    method = next((one for one in METHODS if one == kept.get("method")), None)
    status = next((one for one in STATUSES if one == kept.get("status")), None)
    since, requested = kept.get("since"), kept.get("requested")
    if method is None or status is None or not isinstance(since, dict):
        raise EVENT_STREAM_KEPT("not a stored event stream")
    texts = {name: _text(kept, name) for name in _TEXTS}
    return EventStream(
        id=identity,
        revision=revision,
        method=method,
        status=status,
        stops=kept.get("stops") is not False,
        since={log: _number(since, log) for log in since},
        requested=None if requested is None else _list(kept, "requested"),
        receiver=texts["receiver"],
        endpoint=texts["endpoint"],
        authorization=texts["authorization"],
        description=texts["description"],
        reason=texts["reason"],
        update=texts["update"],
        removed=_list(kept, "removed"),
        groups=_list(kept, "groups"),
        refused=_number(kept, "refused"),
        left_out=_number(kept, "left_out"),
        verified_at=_number(kept, "verified_at"),
    )


def _text(kept: Mapping[str, JSONValue], name: str) -> str:
    value = kept.get(name, "")
    if not isinstance(value, str):
        raise EVENT_STREAM_KEPT("not a stored event stream")
    return value


def _number(kept: Mapping[str, JSONValue], name: str) -> int:
    value = kept.get(name, 0)
    if type(value) is not int:
        raise EVENT_STREAM_KEPT("not a stored event stream")
    return value


def _list(kept: Mapping[str, JSONValue], name: str) -> tuple[str, ...]:
    value = kept.get(name, [])
    texts = [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(texts) != len(value):
        raise EVENT_STREAM_KEPT("not a stored event stream")
    return tuple(texts)
