"""Gather what an incident is about by the index: its statements, its actions, and what stopped them.

Law: nothing is stopped and nothing is written to tell it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from answerable.core.incident.containing import is_whole, stop_of
from answerable.core.incident.incident import ID_PREFIX, incidents_in
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import PREVIEW, kind_of
from answerable.core.search.names import CUT, Asked, entry_of
from answerable.core.search.query import Cursor, Query, Term
from answerable.flows.forensics.describe_name import MAY_BE_MAX
from answerable.flows.forensics.tell_story import Story

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from answerable.core.incident.incident import Incident
    from answerable.core.incident.timeline import Moment
    from answerable.core.search.hit import Hit
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_index import Reach

STATEMENTS_MAX: Final = 10_000
"""Entries about incidents that one answer reads, and statements of one incident, the first ones."""
ENTRIES_MAX: Final = 1_000
"""Entries of each kind of name that an incident is about, the newest ones; what belongs to them is beside it."""
STOPPING: Final = frozenset({Tag.HOLD_PLACED, Tag.REVOKED, Tag.MANDATE_CLOSED, Tag.WORKLOAD_ENDED})
ALERTING: Final = frozenset({Tag.RULE_FIRED, Tag.LOG_FINDING})
"""Entries by which an incident with them was detected, beside holds, revocations and instances that people ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What a log has of an incident. stops: what ended authority, and alarms: what was noticed, both oldest first and
    of its window."""

    story: Story
    stops: tuple[Hit, ...]
    alarms: tuple[Hit, ...]

    @property
    def actions(self) -> tuple[Hit, ...]:
        """Actions that ran, were refused, or were asked about, oldest first."""
        return tuple(
            one
            for one in self.story.hits
            if one.moment.tag in (Tag.INTENT, Tag.REFUSAL) and one.facts.one("kind") != PREVIEW
        )


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """Incidents, newest first. next: cursor of the page after this; empty for none. reach: up to where it is
    complete."""

    items: tuple[Incident, ...]
    next: str
    reach: Reach


def incidents(teller: StoryTeller, *, limit: int, after: Cursor | None = None) -> IncidentPage:
    """Return a page of incidents, by when they were opened. Raises Unavailable and Broken as the index and the log
    do."""
    reach = teller.index.reach()
    found: list[Incident] = []
    last = ""
    statements = Query(terms=(Term("kind", (kind_of(Tag.INCIDENT),)),))
    for number, candidate in enumerate(teller.index.candidates(statements, after), 1):
        moment = teller.opened(candidate.entry)
        if moment.leaf.get("change") == "opened":
            incident = opened(teller, str(moment.leaf.get("incident")))
            # An id may be opened by several entries, of which the first one counts.
            if incident is not None and incident.entry == candidate.entry:
                if len(found) == limit:
                    return IncidentPage(tuple(found), last, reach)
                found.append(incident)
        last = Cursor(candidate.at, candidate.entry).formatted()
        if number == STATEMENTS_MAX:
            return IncidentPage(tuple(found), last, reach)
    return IncidentPage(tuple(found), "", reach)


def opened(teller: StoryTeller, name: str) -> Incident | None:
    """Return an incident as the statements of this log say it; None for one that was not opened here. Raises
    Unavailable, and Broken as the index and the log do."""
    statements = Query(terms=(Term("incident", (name,)), Term("kind", (kind_of(Tag.INCIDENT),))))
    first = islice(teller.index.candidates(statements, None, oldest_first=True), STATEMENTS_MAX)
    return incidents_in(teller.opened(one.entry) for one in first).get(name)


def incidents_named(teller: StoryTeller, name: str) -> tuple[Incident, ...]:
    """Return the incident with this id, or those whose id begins so. Raises as `opened`."""
    found = opened(teller, name)
    beginning = name.rstrip(CUT)
    if found is not None or not beginning.startswith(ID_PREFIX):
        return (found,) if found is not None else ()
    names = islice(teller.index.names(beginning), MAY_BE_MAX)
    return tuple(one for one in (opened(teller, whole) for whole in names) if one is not None)


def gathered(teller: StoryTeller, incident: Incident, *, is_home: bool = True) -> Gathered:
    """Return what this log has of what an incident is about. is_home: whether it was opened in this log. Raises
    Unavailable, and Broken as the index and the log do."""
    about = [*_queries(teller, incident)]
    queries = [*about, *((_itself(incident.id),) if is_home else ())]
    story = _joined([teller.story(Asked((), one), limit=ENTRIES_MAX) for one in queries])
    stops = _stops(teller, incident)
    noticed = {one.facts.entry: one for one in stops if one.moment.tag != Tag.MANDATE_CLOSED}
    beside = (one for one in story.hits if one.moment.tag in ALERTING and _is_within(one, incident))
    noticed |= {one.facts.entry: one for one in chain(beside, _alerts(teller, about))}
    alert = teller.entry(entry_of(incident.name) or 0) if is_home and incident.kind == "alert" else None
    if alert is not None:
        noticed[alert.facts.entry] = alert
    alarms = tuple(noticed[entry] for entry in sorted(noticed))
    return Gathered(story=story, stops=stops, alarms=alarms)


def _alerts(teller: StoryTeller, about: Iterable[Query]) -> Iterator[Hit]:
    """Yield the alerts that meet these searches, also where they are older than what is told."""
    kinds = Term("kind", tuple(kind_of(one) for one in ALERTING))
    for query in about:
        yield from islice(teller.matching(replace(query, terms=(*query.terms, kinds))), ENTRIES_MAX)


def _stops(teller: StoryTeller, incident: Incident) -> tuple[Hit, ...]:
    """Return what stopped what an incident is about, the newest of its window, oldest first."""
    kinds = tuple(kind_of(one) for one in STOPPING)
    query = Query(terms=(Term("kind", kinds),), since=incident.since, until=incident.before)
    found = [one for one in islice(teller.matching(query), ENTRIES_MAX) if _is_stopped(one.moment, incident)]
    return tuple(sorted(found, key=lambda one: one.facts.entry))


def _is_stopped(moment: Moment, incident: Incident) -> bool:
    """Whether a stop may concern what an incident is about: it is of a name that the incident covers, or of more. An
    instance that ended by itself, which no person ended, was not stopped."""
    if moment.tag == Tag.WORKLOAD_ENDED and "by" not in moment.leaf:
        return False
    stop = stop_of(moment.leaf)
    return not incident.covers or is_whole(incident, stop) or stop.name in incident.covers.get(stop.field, ())


def _queries(teller: StoryTeller, incident: Incident) -> Iterator[Query]:
    """Yield the searches whose results together are what an incident is about."""
    since, until = incident.since, incident.before
    for field, names in incident.covers.items():
        if field == "instance":
            # An instance stands for its sub-agents, too.
            names = tuple(one for name in names for one in teller.terms(name)[field].values)
        yield Query(terms=(Term(field, names),), since=since, until=until)
    if not incident.covers:
        yield Query(since=since, until=until)


def _itself(name: str) -> Query:
    return Query(terms=(Term("incident", (name,)),))


def _joined(stories: Sequence[Story]) -> Story:
    hits = {one.facts.entry: one for story in stories for one in story.hits}
    return Story(
        hits=tuple(hits[entry] for entry in sorted(hits)),
        ends={entry: moment for story in stories for entry, moment in story.ends.items()},
        kinds=("incident",),
        beside=(),
        reach=stories[0].reach,
        is_cut=any(story.is_cut for story in stories),
    )


def _is_within(hit: Hit, incident: Incident) -> bool:
    at = hit.facts.at
    return incident.since <= at and (incident.before is None or at < incident.before)
