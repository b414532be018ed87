"""The story of a name by a plain scan of the whole ledger, which knows nothing of an index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from answerable.core.incident.timeline import Line, Moment, story, told
from answerable.core.lease.name import lease_of
from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import gives, is_denied_by
from answerable.errors.codes.approval import APPROVAL_DENIED
from answerable.flows.forensics.opened_moment import hops_among, opened_moment


def scanned_story(
    entries: Iterable[StoredEntry], name: str, find_key: Callable[[bytes], SubjectKey | None]
) -> tuple[Line, ...]:
    """Return every entry that belongs to `name`, in order; empty for a name that the ledger does not have."""
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
