"""From any id to its story: action, approval, mandate, agent, person, action digest or ledger index."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from answerable.core.canonical import parse
from answerable.core.incident.timeline import Line, Moment, story, told
from answerable.core.ledger.entry import opened_payload
from answerable.errors import AnswerableError, Broken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry


def reconstruct_timeline(entries: Iterable[StoredEntry], name: str) -> tuple[Line, ...]:
    """Every entry that belongs to `name`, in order, as sentences; empty when the ledger does not know the name.

    The story of an action includes its approval, its mandate's beginning and end and its outcome; the story of a
    mandate includes all actions under it.
    """
    return tuple(told(moment) for moment in story(list(_moments(entries)), name))


def _moments(entries: Iterable[StoredEntry]) -> Iterator[Moment]:
    for stored in entries:
        leaf = parse(stored.leaf)
        if not isinstance(leaf, dict):
            raise Broken(
                f"entry {stored.index} has a leaf that is not an object", code="ledger.leaf_malformed"
            )
        yield Moment(index=stored.index, tag=stored.tag, leaf=leaf, payload=_payload(stored, leaf))


def _payload(stored: StoredEntry, leaf: dict[str, JSONValue]) -> dict[str, JSONValue] | None:
    committed = leaf.get("payload")
    if not isinstance(committed, str) or not stored.attachment:
        return None
    try:
        # Results of upstreams may hold what our canonical form refuses, so the lenient reader is right here.
        value = json.loads(opened_payload(stored.attachment, committed=committed))
    except (AnswerableError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
