"""Rebuild event streams from the ledger: what their receivers made, changed and removed.

Compared is what receivers decide. What this server counts of a stream, and that it paused one, is in no entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from answerable.core.incident.event_stream import (
    HEADER_LOST,
    HEADER_UNKNOWN,
    STATUSES,
    EventStream,
    is_paused_by_server,
)
from answerable.core.incident.stream_form import encoded_stream
from answerable.core.ledger.tags import Tag
from answerable.errors.codes.events import EVENT_STREAM_KEPT

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.projected import Told

STREAM_TAGS: Final = frozenset({Tag.EVENT_STREAM})


@dataclass(frozen=True, slots=True)
class StreamRow:
    """What entries say of a stream. stream: without counts, and with HEADER_UNKNOWN for any header. reason: of its
    status; not compared, for this server writes over it."""

    stream: EventStream
    reason: str = field(default="", compare=False)


def as_told(stream: EventStream) -> StreamRow:
    """Return what entries say of a stored stream."""
    is_paused = is_paused_by_server(stream)
    told = replace(
        stream,
        authorization=HEADER_UNKNOWN if stream.authorization else "",
        removed=tuple(sorted(stream.removed)),
        status="enabled" if is_paused else stream.status,
        reason="", update="", refused=0, left_out=0, verified_at=0, revision=0,
    )  # fmt: skip
    return StreamRow(told, "" if is_paused else stream.reason)


def stored_as(told: StreamRow, before: EventStream | None) -> EventStream:
    """Return the stream to store for what entries say. before: the stored one, whose counts, header and pause stay. A
    header that is not known any more pauses the stream, until its receiver sends it anew."""
    wanted = told.stream
    before = before or EventStream(id=wanted.id, receiver=wanted.receiver, method=wanted.method)
    is_paused = wanted.status == "enabled" and is_paused_by_server(before)
    stored = replace(
        before,
        receiver=wanted.receiver, method=wanted.method, endpoint=wanted.endpoint, requested=wanted.requested,
        description=wanted.description, removed=wanted.removed, since=wanted.since,
        authorization=before.authorization if wanted.authorization else "",
        status=before.status if is_paused else wanted.status,
        reason=before.reason if is_paused else told.reason,
    )  # fmt: skip
    if not wanted.authorization or (before.header and before.endpoint == wanted.endpoint):
        return stored
    lost = replace(stored, authorization=HEADER_UNKNOWN)
    return replace(lost, status="paused", reason=HEADER_LOST) if lost.status == "enabled" else lost


def streams_in(told: Told) -> tuple[str, ...]:
    """Return the stream that an entry is about."""
    name = told.leaf.get("stream")
    return (name,) if isinstance(name, str) and name else ()


def stream_after(known: StreamRow | None, told: Told) -> StreamRow | None:
    """Return the stream after an entry; None for a removed one, and for one that no entry made. Raises Malformed
    (`event_stream.kept`, `json.*`), Unverified (`ledger.key_gone`)."""
    row = _after(known, told)
    if row is not None:
        # What is sealed may say what no row can hold.
        encoded_stream(replace(row.stream, reason=row.reason))
    return row


def _after(known: StreamRow | None, told: Told) -> StreamRow | None:
    change, name = told.leaf.get("change"), str(told.leaf.get("stream"))
    if known is None and change == "made":
        known = StreamRow(EventStream(id=name, receiver=str(told.leaf.get("agent")), method="poll"))
    if known is None or change == "removed":
        return None
    if change in ("made", "configured"):
        return replace(known, stream=_configured(known.stream, told))
    if change == "status":
        status = next((one for one in STATUSES if one == told.leaf.get("status")), None)
        if status is None:
            raise EVENT_STREAM_KEPT("an entry about an event stream has no status")
        return StreamRow(replace(known.stream, status=status), told.text("reason"))
    subject = told.sealed("subject")
    if not isinstance(subject, str):
        raise EVENT_STREAM_KEPT("an entry about an event stream has no subject")
    others = {one for one in known.stream.removed if one != subject}
    removed = others | {subject} if change == "subject_removed" else others
    return replace(known, stream=replace(known.stream, removed=tuple(sorted(removed))))


def _configured(known: EventStream, told: Told) -> EventStream:
    said = told.sealed("configuration")
    if not isinstance(said, dict):
        raise EVENT_STREAM_KEPT("an entry about an event stream has no configuration")
    requested = said.get("requested")
    return replace(
        known,
        method="push" if told.leaf.get("method") == "push" else "poll",
        endpoint=str(said.get("endpoint", "")),
        authorization=HEADER_UNKNOWN if said.get("authorized") is True else "",
        description=str(said.get("description", "")),
        requested=tuple(str(one) for one in requested) if isinstance(requested, list) else None,
        since={**_numbers(said.get("since")), **known.since},
    )


def _numbers(value: JSONValue) -> dict[str, int]:
    found = value if isinstance(value, dict) else {}
    return {log: number for log, number in found.items() if type(number) is int}
