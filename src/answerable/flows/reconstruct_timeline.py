"""From any id to its story: action, approval, mandate, agent, instance, manifest, person, digest or ledger index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.timeline import Line, Moment, story, told
from answerable.core.ledger.opened import leaf_of, payload_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey


def reconstruct_timeline(
    entries: Iterable[StoredEntry], name: str, find_key: Callable[[bytes], SubjectKey | None]
) -> tuple[Line, ...]:
    """Every entry that belongs to `name`, in order, as sentences; empty when the ledger does not know the name.

    The story of an action includes its approval, its mandate's beginning and end and its outcome; the story of a
    mandate includes all actions under it; that of a manifest or an instance all that ran
    under or in it. What
    cannot be opened for want of a key is told from its leaf alone.
    """
    moments = [opened_moment(stored, find_key) for stored in entries]
    return tuple(told(moment) for moment in story(moments, name))


def opened_moment(stored: StoredEntry, find_key: Callable[[bytes], SubjectKey | None]) -> Moment:
    """One entry, opened. Raises Broken (`ledger.leaf_malformed`)."""
    leaf = leaf_of(stored)
    return Moment(index=stored.index, tag=stored.tag, leaf=leaf, payload=payload_of(stored, leaf, find_key))
