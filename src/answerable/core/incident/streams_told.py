"""Describe entries about event streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.incident.wording import plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

_CHANGES: Final = {
    "made": "made a stream of events",
    "configured": "changed what it is sent in a stream of events",
    "subject_added": "hears of a subject again in a stream of events",
    "subject_removed": "hears of a subject no more in a stream of events",
    "removed": "removed a stream of events",
}


def stream_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe what a receiver did with its stream."""
    change, status = str(leaf.get("change")), plain(leaf.get("status"))
    done = _CHANGES.get(change, f"changed a stream of events, which is {status}")
    details = [f"stream {short(leaf.get('stream'))}, {status}, by {plain(leaf.get('method'))}"]
    if payload.get("reason"):
        details.append(f"because: {plain(payload.get('reason'))}")
    if payload.get("subject"):
        details.append(f"subject: {plain(payload.get('subject'))}")
    return f"Agent {plain(leaf.get('agent'))} {done}.", tuple(details)
