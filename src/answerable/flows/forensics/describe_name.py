"""Describe what a name stands for, by the index: what it may be, what happened to it, and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import ENDS, PEOPLE, PREVIEW, kind_of
from answerable.core.search.matching import resolved
from answerable.core.search.names import CUT, ENTRY, KINDS, VAGUE, Beside, best_of, is_term
from answerable.core.search.query import Query, Term, parsed_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.search.hit import Hit
    from answerable.core.search.names import Asked
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_index import Reach

BELONGING: Final = (
    "person",
    "agent",
    "instance",
    "mandate",
    "use-case",
    "capability",
    "server",
    "approval",
    "key",
    "rule",
)
"""Fields whose names are told of what belongs to a name."""
LISTED: Final = 5
"""Names of one field, and newest actions."""
EVENTS: Final = 20
"""Newest entries that are about no action."""
BEGINNING_CHARS_MIN: Final = 4
"""Shortest beginning of a name that is completed."""
MAY_BE_MAX: Final = 20
_ACTIONS: Final = frozenset({Tag.INTENT, Tag.REFUSAL})
_EVENTS: Final = (*(kind_of(one) for one in Tag if one not in _ACTIONS | ENDS | {Tag.LEASE}), PREVIEW)


class Candidate(NamedTuple):
    """What a name may be. kind: of `KINDS`, or `entry`. name: complete. same: other kinds with the same entries."""

    kind: str
    name: str
    same: tuple[str, ...] = ()

    def written(self) -> str:
        """Return it as it is asked for."""
        return f"{self.kind}:{self.name}"


class Belonging(NamedTuple):
    """A name that belongs to another one. told: the name of a person whose pseudonym it is, else the name. entries: how
    many have both."""

    field: str
    name: str
    told: str
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a name stands for. beside: what callers wrote that is spelled like it. entries: how many name it. first_at,
    last_at: Unix milliseconds. outcomes: number of its actions by outcome. events: its newest entries about no action,
    previews among them, oldest first. newest: its newest actions."""

    candidate: Candidate
    beside: tuple[Beside, ...]
    entries: int
    first_at: int
    last_at: int
    outcomes: tuple[tuple[str, int], ...]
    belongs: tuple[Belonging, ...]
    events: tuple[Hit, ...]
    newest: tuple[Hit, ...]
    reach: Reach


def may_be(teller: StoryTeller, word: str) -> tuple[Candidate, ...]:
    """Return what a word may be: a name, `KIND:NAME`, or the beginning of names.

    A name of several kinds is what `best_of` says of them, and one thing where these have the same entries. Raises
    Unavailable and Broken as the index and the log do, and Malformed as `parsed_query`.
    """
    kind = word.partition(":")[0]
    if is_term(word) and kind.lower().replace("_", "-") in KINDS:
        (term,) = parsed_query([word], now=0).terms
        known = _first(teller, term) is not None
        return (Candidate(term.field, term.values[0]),) if known else ()
    found = _exact(teller, word)
    beginning = word.rstrip(CUT)
    if found or len(beginning) < BEGINNING_CHARS_MIN:
        return found
    names = islice(teller.index.names(beginning), MAY_BE_MAX)
    return tuple(one for name in names for one in _exact(teller, name))[:MAY_BE_MAX]


def completed_names(teller: StoryTeller, asked: Asked) -> Asked:
    """Return a question with each name that is shown cut, such as `0079675714a8…`, as the one that begins like it;
    unchanged where that is none, or not one. Raises as `may_be`."""

    def whole(name: str) -> str:
        found = {one.name for one in may_be(teller, name)} if name.endswith(CUT) else set()
        return found.pop() if len(found) == 1 else name

    return asked._replace(names=tuple(map(whole, asked.names)))


def is_known(teller: StoryTeller, name: str) -> bool:
    """Whether a name is in any entry, or of one. Raises as `may_be`."""
    return bool(_exact(teller, name))


def describe_name(teller: StoryTeller, candidate: Candidate) -> Described:
    """Return what is known of a name that there is. Raises as `may_be`."""
    beside = tuple(_beside(teller, candidate))
    if candidate.kind == ENTRY:
        return _of_entry(teller, candidate, beside)
    query = _query(teller, candidate)
    kinds = [*teller.index.tallies(query, ("kind", "outcome"))]
    outcomes: dict[str, int] = {}
    actions = tuple(map(kind_of, _ACTIONS))
    for one in kinds:
        if one.values[0] in actions:
            outcomes[one.values[1]] = outcomes.get(one.values[1], 0) + one.entries
    events = teller.matching(Query(terms=(*query.terms, Term("kind", _EVENTS))))
    newest = teller.matching(Query(terms=(*query.terms, Term("kind", actions))))
    return Described(
        candidate=candidate,
        beside=beside,
        entries=sum(one.entries for one in kinds),
        first_at=min((one.first_at for one in kinds), default=0),
        last_at=max((one.last_at for one in kinds), default=0),
        outcomes=tuple(sorted(outcomes.items(), key=lambda one: (-one[1], one[0]))),
        belongs=tuple(_belonging(teller, query, candidate)),
        events=tuple(islice(events, EVENTS))[::-1],
        newest=tuple(islice(newest, LISTED)),
        reach=teller.index.reach(),
    )


def _of_entry(teller: StoryTeller, candidate: Candidate, beside: tuple[Beside, ...]) -> Described:
    hit = teller.entry(int(candidate.name))
    hits = (hit,) if hit is not None else ()
    is_action = hit is not None and hit.facts.one("kind") in map(kind_of, _ACTIONS)
    at = hit.facts.at if hit is not None else 0
    return Described(
        candidate=candidate,
        beside=beside,
        entries=len(hits),
        first_at=at,
        last_at=at,
        outcomes=tuple((one.outcome, 1) for one in hits if is_action),
        belongs=(),
        events=() if is_action else hits,
        newest=hits if is_action else (),
        reach=teller.index.reach(),
    )


def _exact(teller: StoryTeller, name: str) -> tuple[Candidate, ...]:
    known = teller.known(name, Query())
    entry = _entry(teller, name)
    best = best_of([*known, *(one.kind for one in entry)])
    found: list[Candidate] = []
    for kind in (one for one in known if one in best):
        twin = next(
            (i for i, one in enumerate(found) if _is_same(teller, known[one.kind], known[kind])), None
        )
        if twin is None:
            found.append(Candidate(kind, name))
        else:
            found[twin] = found[twin]._replace(same=(*found[twin].same, kind))
    return (*entry, *found)


def _is_same(teller: StoryTeller, one: Term, other: Term) -> bool:
    """Whether two terms have the same entries."""
    of_both = teller.count(Query(), one, other)
    return of_both > 0 and of_both == teller.count(Query(), one) == teller.count(Query(), other)


def _entry(teller: StoryTeller, name: str) -> tuple[Candidate, ...]:
    number = teller.index_of(name)
    is_there = number is not None and teller.entry(number) is not None
    return (Candidate(ENTRY, str(number)),) if is_there else ()


def _beside(teller: StoryTeller, candidate: Candidate) -> Iterator[Beside]:
    """Yield what else is spelled like a name, and was left for what it stands for."""
    known = teller.known(candidate.name, Query())
    own = [known[one] for one in (candidate.kind, *candidate.same) if one in known]
    best = best_of([*known, candidate.kind])
    if candidate.kind in best:
        for kind in (one for one in known if one not in best | VAGUE):
            found = teller.beside(candidate.name, known[kind], own, Query())
            if found.entries > 0:
                yield found


def _first(teller: StoryTeller, term: Term) -> Hit | None:
    return next(teller.matching(Query(terms=(term,))), None)


def _query(teller: StoryTeller, candidate: Candidate) -> Query:
    """Return the search for a name, as the index takes it."""
    query = Query(terms=(teller.terms(candidate.name)[candidate.kind],))
    return resolved(query, pseudonyms=teller.index.pseudonyms, subject=teller.subject)


def _belonging(teller: StoryTeller, query: Query, candidate: Candidate) -> Iterator[Belonging]:
    own = set(query.terms[0].values)
    for field in BELONGING:
        counts: dict[str, tuple[int, int]] = {}
        for one in teller.index.tallies(query, (field,)):
            (name,) = one.values
            if name and (field != candidate.kind or name not in own):
                entries, newest = counts.get(name, (0, 0))
                counts[name] = (entries + one.entries, max(newest, one.newest))
        listed = sorted(counts.items(), key=lambda one: (-one[1][0], one[0]))
        for name, (entries, newest) in listed[:LISTED]:
            told = person_told(teller, name, newest) if field == "person" else name
            yield Belonging(field, name, told, entries)
        if len(listed) > LISTED:
            rest = sum(entries for _, (entries, _) in listed[LISTED:])
            yield Belonging(field, "", f"{len(listed) - LISTED} more", rest)


def person_told(teller: StoryTeller, pseudonym: str, entry: int) -> str:
    """Return the name of a person where an entry has it readable, else the pseudonym."""
    hit = teller.entry(entry)
    if hit is not None and hit.facts.one("person") == pseudonym:
        return hit.facts.person
    leaf, fields = (hit.moment.leaf, hit.moment.payload or {}) if hit is not None else ({}, {})
    members = [one for one in PEOPLE if leaf.get(one) == pseudonym]
    return next((str(fields[one]) for one in members if isinstance(fields.get(one), str)), pseudonym)
