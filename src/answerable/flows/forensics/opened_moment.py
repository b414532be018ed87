"""Reconstruct the timeline of any id: action, approval, mandate, lease, agent, instance, manifest, person, digest or
index."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.incident.handed_on import traced_hop
from answerable.core.incident.timeline import Line, Moment, story, told
from answerable.core.lease.name import lease_of
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import gives, is_denied_by
from answerable.errors.codes.approval import APPROVAL_DENIED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from answerable.core.incident.handed_on import TracedHop
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey


def reconstruct_timeline(
    entries: Iterable[StoredEntry], name: str, find_key: Callable[[bytes], SubjectKey | None]
) -> tuple[Line, ...]:
    """Return every entry that belongs to `name`, in order, as sentences; empty when the ledger does not have the name.

    The timeline of an action includes its approval, the state of its lease, its mandate's beginning and end and its
    outcome; that of a mandate, all actions under it; that of a lease, all actions that used it; that of a manifest or
    an instance, all actions under or in it; that of a person, also what was refused under the person's mandates. The
    account of a lease, as a target's own log says it, is its lease. An entry whose fields cannot be opened is described
    from its leaf alone.
    """
    moments = _with_denials([opened_moment(stored, find_key) for stored in entries])
    found = story(moments, lease_of(name) or name, *_refused_for(moments, name))
    hops = hops_among(found)
    return tuple(told(moment, hops) for moment in found)


def _with_denials(moments: Sequence[Moment]) -> list[Moment]:
    """Return the entries, those of refusals because of a no of people with the approval that they denied."""
    asked = [one for one in moments if one.tag == Tag.APPROVAL_ASKED]
    found: list[Moment] = []
    for one in moments:
        denied = _denied(one, asked)
        found.append(replace(one, leaf={**one.leaf, "approval": denied}) if denied else one)
    return found


def _denied(refusal: Moment, asked: Sequence[Moment]) -> str:
    """Return the approval that was denied, of the last question about the same action; empty for other entries."""
    if refusal.leaf.get("code") != APPROVAL_DENIED.id:
        return ""
    before = (one.leaf for one in reversed(asked) if one.index < refusal.index)
    return next((str(one["approval"]) for one in before if is_denied_by(refusal.leaf, one)), "")


def _refused_for(moments: Sequence[Moment], person: str) -> list[str]:
    """Return the refused actions under mandates of a person, whom their own entries do not name."""
    given = {
        gives(one.tag, one.leaf)
        for one in moments
        if person in (one.leaf.get("principal"), (one.payload or {}).get("principal"))
    } - {""}
    return [
        str(one.leaf["action"])
        for one in moments
        if one.tag == Tag.REFUSAL and one.leaf.get("mandate") in given
    ]


def hops_among(moments: Iterable[Moment]) -> tuple[TracedHop, ...]:
    """Return every hop that one of these entries records."""
    cited = (traced_hop(moment.leaf, moment.payload) for moment in moments if moment.tag == Tag.CITED)
    return tuple(hop for hop in cited if hop is not None)


def opened_moment(stored: StoredEntry, find_key: Callable[[bytes], SubjectKey | None]) -> Moment:
    """Return one entry, opened. Raises Broken (`ledger.leaf_malformed`)."""
    leaf = leaf_of(stored)
    return Moment(index=stored.index, tag=stored.tag, leaf=leaf, payload=payload_of(stored, leaf, find_key))
