"""Select the entries of an evidence bundle by the index.

Law: the selection is that of all entries of the log, in order. The index finds those that it looks at; which of them
belong to a bundle is decided by `Selection` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.evidence.bundle import ENTRIES_MAX
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import kinds_of
from answerable.core.search.query import Query, Term
from answerable.errors.codes.ledger import EVIDENCE_ENTRIES
from answerable.flows.forensics.search_ledger import named_entry
from answerable.flows.forensics.tell_story import VALUES_MAX
from answerable.flows.ledger.assemble_evidence import Selection
from answerable.ports.search_process import SelectionAnswer
from answerable.verify.ledger_replay import STATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_process import SelectionQuestion

LOOKED_AT_MAX: Final = 10 * ENTRIES_MAX
"""Entries about an action or a mandate that are looked at; nearly all of them belong to it."""
_SAY_WHO: Final = (Tag.DUTY, Tag.PASSKEY, Tag.PEOPLES_KEYS, Tag.REGISTRY_CHANGE)
"""Entries that say with which key, and for whom, somebody may have signed."""


def select_evidence(teller: StoryTeller, question: SelectionQuestion) -> SelectionAnswer:
    """Return the entries that belong to the selection, and those needed to understand them.

    Raises Malformed (`evidence.nothing`, `evidence.entries`), Unavailable, and Broken as the index and the log do.
    """
    selection = Selection(
        indexes=question.indexes, action=question.action, mandate=question.mandate, replay=question.replay
    )
    for entry in sorted(_looked_at(teller, selection)):
        selection.take(named_entry(teller.log, entry))
    return SelectionAnswer(items=tuple(sorted(selection.entries())))


def _looked_at(teller: StoryTeller, selection: Selection) -> set[int]:
    """Return the entries that `Selection` may choose, or may need for the chosen ones."""
    about = {one for one in selection.indexes if one < teller.log.size}
    actions = {*_members(teller, about, "action"), selection.action} - {""}
    about.update(_found(teller, "action", actions))
    about.update(_found(teller, "approval", {selection.action} - {""}))
    about.update(_found(teller, "mandate", {selection.mandate} - {""}))
    found = {*about}
    found.update(_found(teller, "approval", _members(teller, about, "approval")))
    found.update(_found(teller, "lease", _members(teller, about, "lease")))
    # Who cites a mandate of another log names it nowhere else than in the citation.
    kinds = STATED if selection.replay else (Tag.CITED,) if selection.mandate else ()
    found.update(_found(teller, "kind", kinds_of((*_SAY_WHO, *kinds))))
    return found


def _found(teller: StoryTeller, field: str, values: Iterable[str]) -> Iterator[int]:
    """Yield the entries with one of these values, and for intents how they ended. Raises Malformed
    (`evidence.entries`)."""
    wanted, count = sorted(values), 0
    for start in range(0, len(wanted), VALUES_MAX):
        query = Query(terms=(Term(field, tuple(wanted[start : start + VALUES_MAX])),))
        for candidate in teller.index.candidates(query, None):
            count += 1
            if count > LOOKED_AT_MAX and field != "kind":
                raise EVIDENCE_ENTRIES(f"more than {ENTRIES_MAX} entries belong to the selection: narrow it")
            yield candidate.entry
            if candidate.ended is not None:
                yield from (*teller.index.corrected(candidate.entry), candidate.ended)


def _members(teller: StoryTeller, entries: Iterable[int], member: str) -> set[str]:
    """Return the texts that the leaves of entries have in a member."""
    values = (leaf_of(named_entry(teller.log, one)).get(member) for one in entries)
    return {one for one in values if isinstance(one, str) and one}
