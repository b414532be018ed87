"""Tell the story of any name: the entries that name it, and those that belong to them, by the index.

Laws: an entry is in the story because it meets the question, because it is about an action or approval of the story,
because it is a state of one of its leases, or because it begins or ends a mandate of the story; the other actions of
such a mandate are not in it, and neither is what only has a name of the story in an argument.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from answerable.core.incident.timeline import is_within, linked
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import ENDS, kind_of
from answerable.core.search.matching import resolved
from answerable.core.search.names import CHOSEN, ENTRY, KINDS, VAGUE, Beside, entry_of, terms_of
from answerable.core.search.query import Query, Term
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.forensics.read_beside import BesideReader
from answerable.flows.forensics.search_ledger import confirmed, named_entry, opened_hit, search_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from answerable.core.incident.timeline import Moment
    from answerable.core.ledger.opened import FindKey
    from answerable.core.search.hit import Hit
    from answerable.core.search.names import Asked
    from answerable.core.search.query import Cursor
    from answerable.flows.forensics.search_ledger import HitPage
    from answerable.ports.search_index import Candidate, Reach, SearchIndex
    from answerable.ports.stored_log import LogSnapshot

VALUES_MAX: Final = 200
"""Values of one term of a search by the story itself; more are asked for in turns."""
_OF_ACTIONS: Final = frozenset(
    {
        Tag.INTENT,
        Tag.REFUSAL,
        Tag.APPROVAL_ASKED,
        Tag.APPROVAL_ANSWER,
        Tag.APPROVAL_VOID,
        Tag.APPROVAL_ESCALATED,
        Tag.GLASS_REVIEWED,
        Tag.CANARY_TOLD,
        Tag.LEASE,
        *ENDS,
    }
)
_OF_MANDATES: Final = tuple(kind_of(one) for one in Tag if one not in _OF_ACTIONS)
"""Kinds of entries about a mandate itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What belongs to a name, oldest first. ends: the entries that say how its actions ended, with those that were
    corrected, by index. kinds: what the names are, as `KINDS` and `entry`; empty where nothing was named. beside: what
    callers wrote that is spelled like the names. reach: up to where this is complete. is_cut: whether only the newest
    of what was asked about is in it."""

    hits: tuple[Hit, ...]
    ends: dict[int, Moment]
    kinds: tuple[str, ...]
    beside: tuple[Beside, ...]
    reach: Reach
    is_cut: bool


@dataclass(slots=True)
class StoryTeller:
    """Asks one index for stories. subject: as for `search_ledger`. reader: of this index, log and keys; None for one of
    its own. has_entries: whether a number names an entry, which it does in the log that is asked first."""

    index: SearchIndex
    log: LogSnapshot
    find: FindKey
    subject: Callable[[str], str] = lambda name: ""
    reader: InitVar[BesideReader | None] = None
    has_entries: bool = True
    _hits: dict[int, Hit] = field(default_factory=dict)
    _kinds: dict[str, None] = field(default_factory=dict)
    _beside: list[Beside] = field(default_factory=list)
    _reader: BesideReader = field(init=False)

    def __post_init__(self, reader: BesideReader | None) -> None:
        self._reader = reader or BesideReader(self.index, self.log, self.find)

    def story(self, asked: Asked, *, limit: int) -> Story:
        """Return the story of what is asked about.

        limit: of entries that meet the question, newest first; what belongs to them is beside it. Raises Unavailable
        and Broken as the index and the log do.
        """
        self._hits, self._kinds, self._beside = {}, {}, []
        reach = self.index.reach()
        is_cut = self._take_asked(asked, limit)
        self._take_linked()
        self._take_beside()
        hits = tuple(self._hits[entry] for entry in sorted(self._hits))
        ended = [(one.facts.entry, one.ended.entry) for one in hits if one.ended is not None]
        ends = {
            entry: self.opened(entry)
            for intent, last in ended
            for entry in (*self.index.corrected(intent), last)
        }
        return Story(
            hits=hits,
            ends=ends,
            kinds=tuple(self._kinds),
            beside=tuple(self._beside),
            reach=reach,
            is_cut=is_cut,
        )

    def opened(self, entry: int) -> Moment:
        """Return an entry that the index names, opened. Raises as `named_entry`."""
        return opened_moment(named_entry(self.log, entry), self.find)

    def search(self, query: Query, *, limit: int, after: Cursor | None) -> HitPage:
        """Search as `search_ledger` does, with the same errors."""
        return search_ledger(
            self.index,
            self.log,
            self.find,
            query,
            limit=limit,
            after=after,
            subject=self.subject,
            reader=self._reader,
        )

    def matching(self, query: Query) -> Iterator[Hit]:
        """Yield the entries that match, newest first."""
        wanted = resolved(query, pseudonyms=self.index.pseudonyms, subject=self.subject)
        for candidate in self.index.candidates(wanted, None):
            known = self._hits.get(candidate.entry)
            hit = self._confirmed(wanted, candidate) if known is None else known
            if hit is not None:
                yield hit

    def terms(self, name: str) -> dict[str, Term]:
        """Return the term of each field that a name may be a value of. An instance stands for its sub-agents, too, and
        is also named by its random part."""
        found = terms_of(name)
        instances = [one for one in self.index.names("spiffe://") if is_within(one, name)]
        if instances:
            found["instance"] = Term("instance", tuple(dict.fromkeys((name, *instances))))
        return found

    def known(self, name: str, query: Query) -> dict[str, Term]:
        """Return the terms of a name of which there are entries that meet a search, too."""
        terms = self.terms(name).items()
        return {
            kind: term
            for kind, term in terms
            if next(self.matching(replace(query, terms=(*query.terms, term))), None) is not None
        }

    def beside(self, name: str, other: Term, own: Sequence[Term], query: Query) -> Beside:
        """Return what somebody wrote that is spelled like a name. own: what the name stands for."""
        shared = max((self.count(query, other, one) for one in own), default=0)
        return Beside(other.field, name, self.count(query, other) - shared)

    def count(self, query: Query, *terms: Term) -> int:
        """Return how many entries meet a search and these terms, by the index alone."""
        asked = replace(query, terms=(*query.terms, *terms))
        wanted = resolved(asked, pseudonyms=self.index.pseudonyms, subject=self.subject)
        return sum(one.entries for one in self.index.tallies(wanted, ("kind",)))

    def index_of(self, name: str) -> int | None:
        """Return the name as the index of an entry; None where it names none."""
        return entry_of(name) if self.has_entries else None

    def entry(self, index: int) -> Hit | None:
        """Return an entry by its index, for an end the intent that it ends; None where there is none."""
        if index >= self.log.size:
            return None
        stored = self.log.entry(index)
        hit = opened_hit(self._reader, index, None)
        intent = hit.moment.leaf.get("intent") if stored.tag in ENDS else index
        if type(intent) is not int or not 0 <= intent < self.log.size:
            return hit
        known = opened_hit(self._reader, intent, None)
        term = Term("action", (known.facts.one("action"),))
        again = self.matching(Query(terms=(term,))) if known.facts.is_action else ()
        return next((one for one in again if one.facts.entry == intent), known)

    def _confirmed(self, query: Query, candidate: Candidate) -> Hit | None:
        return confirmed(self._reader, query, candidate)

    def _take_asked(self, asked: Asked, limit: int) -> bool:
        """Take what meets the question. Return whether there is more."""
        queries: list[tuple[str, Query]] = []
        for name in asked.names:
            index = self.index_of(name)
            hit = self.entry(index) if index is not None and asked.query == Query() else None
            if hit is not None:
                self._kinds[ENTRY] = None
                self._hits[hit.facts.entry] = hit
            for term in self._meant(name, asked.query, is_entry=hit is not None):
                queries.append((term.field, replace(asked.query, terms=(*asked.query.terms, term))))
        if not asked.names:
            queries.append(("", asked.query))
        count = 0
        # Of several fields the newest entries of each; most names are of one.
        for kind, query in queries:
            for hit in self.matching(query):
                if kind:
                    self._kinds[kind] = None
                if hit.facts.entry not in self._hits:
                    if count == limit:
                        return True
                    count += 1
                    self._hits[hit.facts.entry] = hit
        return False

    def _meant(self, name: str, query: Query, *, is_entry: bool) -> list[Term]:
        """Return what a name stands for, and note what callers wrote that is spelled like it."""
        known = self.known(name, query)
        chosen = CHOSEN & known.keys()
        own = [term for kind, term in known.items() if kind not in chosen]
        if not is_entry and known.keys() <= chosen | VAGUE:
            return [*known.values()]
        found = [self.beside(name, known[kind], own, query) for kind in known if kind in chosen]
        self._beside += [one for one in found if one.entries > 0]
        return own

    def _take_linked(self) -> None:
        """Take what is about the same actions and approvals, at any distance."""
        done: set[str] = set()
        new = _links(self._hits.values())
        while new:
            done |= new
            found: list[Hit] = []
            for name in ("action", "approval"):
                found += self._all(name, sorted(new))
            self._hits.update((one.facts.entry, one) for one in found)
            new = _links(found) - done

    def _take_beside(self) -> None:
        """Take the states of leases, and the beginnings and ends of mandates."""
        leases = {_text(one, "lease") for one in self._hits.values()} - {""}
        states = self._all("lease", sorted(leases), kinds=(kind_of(Tag.LEASE),))
        self._hits.update((one.facts.entry, one) for one in states)
        mandates = {_text(one, "mandate") for one in self._hits.values()} - {""}
        about = self._all("mandate", sorted(mandates), kinds=_OF_MANDATES)
        self._hits.update((one.facts.entry, one) for one in about if not linked(one.moment))

    def _all(self, name: str, values: list[str], *, kinds: tuple[str, ...] = ()) -> list[Hit]:
        of_kind = (Term("kind", kinds),) if kinds else ()
        parts = [values[at : at + VALUES_MAX] for at in range(0, len(values), VALUES_MAX)]
        asked = (Query(terms=(Term(name, tuple(one)), *of_kind)) for one in parts)
        return list(chain.from_iterable(map(self.matching, asked)))


def kinds_told(kinds: Iterable[str]) -> list[str]:
    """Return what names are, in words. `stopped` and `named` are told where they are nothing else."""
    found = [one for one in kinds if one not in VAGUE] or [*kinds]
    return [kind_told(one) for one in found]


def kind_told(kind: str) -> str:
    """Return what a name is, in words."""
    return "an entry of the ledger" if kind == ENTRY else KINDS[kind]


def _links(hits: Iterable[Hit]) -> set[str]:
    found: set[str] = set()
    for one in hits:
        found |= linked(one.moment)
        if one.moment.tag == Tag.REFUSAL:
            # The approval that was denied is not in the entry itself.
            found |= {*one.facts.names.get("approval", ())}
    return found


def _text(hit: Hit, member: str) -> str:
    value = hit.moment.leaf.get(member)
    return value if isinstance(value, str) else ""
