"""Describe what a name stands for, by the index: what it may be, what happened to it, and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import ENDS, PEOPLE, kind_of
from answerable.core.search.matching import resolved
from answerable.core.search.names import KINDS, entry_of, is_term
from answerable.core.search.query import Query, Term, parsed_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.search.hit import Hit
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_index import Reach

ENTRY: Final = "entry"
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
_VAGUE: Final = ("stopped", "named", "digest")
"""Kinds that a name is told as where it is nothing else."""
_ACTIONS: Final = frozenset({Tag.INTENT, Tag.REFUSAL})
_EVENTS: Final = tuple(kind_of(one) for one in Tag if one not in _ACTIONS | ENDS | {Tag.LEASE})


class Candidate(NamedTuple):
    """What a name may be. kind: of `KINDS`, or `entry`. name: complete."""

    kind: str
    name: str

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
    """What a name stands for. entries: how many name it. first_at, last_at: Unix milliseconds. outcomes: number of its
    actions by outcome. events: its newest entries about no action, oldest first. newest: its newest actions."""

    candidate: Candidate
    entries: int
    first_at: int
    last_at: int
    outcomes: tuple[tuple[str, int], ...]
    belongs: tuple[Belonging, ...]
    events: tuple[Hit, ...]
    newest: tuple[Hit, ...]
    reach: Reach


def may_be(teller: StoryTeller, word: str) -> tuple[Candidate, ...]:
    """Return what a word may be: a name, `KIND:NAME`, or the beginning of names. Raises Unavailable and Broken as the
    index and the log do, and Malformed as `parsed_query`."""
    kind, _, name = word.partition(":")
    if kind == ENTRY and entry_of(name) is not None:
        return (Candidate(ENTRY, name),) if teller.entry(int(name)) is not None else ()
    if is_term(word) and kind.lower().replace("_", "-") in KINDS:
        (term,) = parsed_query([word], now=0).terms
        known = _first(teller, term) is not None
        return (Candidate(term.field, term.values[0]),) if known else ()
    found = _exact(teller, word)
    beginning = word.rstrip("…")
    if found or len(beginning) < BEGINNING_CHARS_MIN:
        return found
    names = islice(teller.index.names(beginning), MAY_BE_MAX)
    return tuple(one for name in names for one in _exact(teller, name))[:MAY_BE_MAX]


def describe_name(teller: StoryTeller, candidate: Candidate) -> Described:
    """Return what is known of a name that there is. Raises as `may_be`."""
    if candidate.kind == ENTRY:
        return _of_entry(teller, candidate)
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
        entries=sum(one.entries for one in kinds),
        first_at=min((one.first_at for one in kinds), default=0),
        last_at=max((one.last_at for one in kinds), default=0),
        outcomes=tuple(sorted(outcomes.items(), key=lambda one: (-one[1], one[0]))),
        belongs=tuple(_belonging(teller, query, candidate)),
        events=tuple(islice(events, EVENTS))[::-1],
        newest=tuple(islice(newest, LISTED)),
        reach=teller.index.reach(),
    )


def _of_entry(teller: StoryTeller, candidate: Candidate) -> Described:
    hit = teller.entry(int(candidate.name))
    hits = (hit,) if hit is not None else ()
    is_action = hit is not None and hit.moment.tag in _ACTIONS
    at = hit.facts.at if hit is not None else 0
    return Described(
        candidate=candidate,
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
    found = [Candidate(kind, name) for kind, term in teller.terms(name).items() if _first(teller, term)]
    number = entry_of(name)
    if number is not None and teller.entry(number) is not None:
        found.insert(0, Candidate(ENTRY, name))
    return tuple(one for one in found if one.kind not in _VAGUE) or tuple(found)


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
            told = _person(teller, name, newest) if field == "person" else name
            yield Belonging(field, name, told, entries)
        if len(listed) > LISTED:
            rest = sum(entries for _, (entries, _) in listed[LISTED:])
            yield Belonging(field, "", f"{len(listed) - LISTED} more", rest)


def _person(teller: StoryTeller, pseudonym: str, entry: int) -> str:
    """Return the name of a person where an entry has it readable, else the pseudonym."""
    hit = teller.entry(entry)
    if hit is not None and hit.facts.one("person") == pseudonym:
        return hit.facts.person
    leaf, fields = (hit.moment.leaf, hit.moment.payload or {}) if hit is not None else ({}, {})
    members = [one for one in PEOPLE if leaf.get(one) == pseudonym]
    return next((str(fields[one]) for one in members if isinstance(fields.get(one), str)), pseudonym)
