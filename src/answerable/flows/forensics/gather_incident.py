"""Gather what an incident is about by the index: its statements, its actions, and what stopped them.

Law: nothing is stopped and nothing is written to tell it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from answerable.core.incident.incident import incidents_in
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import PREVIEW, kind_of
from answerable.core.search.names import Asked, entry_of
from answerable.core.search.query import Query, Term
from answerable.core.search.undoing import DONE
from answerable.errors import shown
from answerable.errors.codes.incidents import INCIDENT_UNKNOWN
from answerable.flows.forensics.tell_story import Story

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.incident import Incident
    from answerable.core.incident.timeline import Moment
    from answerable.core.search.hit import Hit
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_index import Reach

STATEMENTS_MAX: Final = 10_000
"""Entries about incidents that one answer reads, the newest ones."""
ENTRIES_MAX: Final = 1_000
"""Entries of each kind of name that an incident is about, the newest ones; what belongs to them is beside it."""
STOPPING: Final = frozenset({Tag.HOLD_PLACED, Tag.REVOKED, Tag.MANDATE_CLOSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """An incident with what it is about. stops: what ended authority, and alarms: what was noticed, both oldest first
    and of its window."""

    incident: Incident
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

    @property
    def done(self) -> tuple[Hit, ...]:
        """Actions that ran, or that may have, oldest first."""
        return tuple(one for one in self.actions if one.moment.tag == Tag.INTENT and one.outcome in DONE)


def incidents(teller: StoryTeller) -> tuple[list[Incident], bool, Reach]:
    """Return all incidents, newest first, whether older ones are left out, and up to where this is complete. Raises
    Unavailable and Broken as the index and the log do."""
    reach = teller.index.reach()
    moments, is_cut = _statements(teller, Term("kind", (kind_of(Tag.INCIDENT),)))
    return [*incidents_in(moments).values()][::-1], is_cut, reach


def gathered(teller: StoryTeller, name: str) -> Gathered:
    """Return an incident with what it is about. Raises Malformed (`incident.unknown`), Unavailable, and Broken as the
    index and the log do."""
    moments, _ = _statements(teller, Term("incident", (name,)))
    found = incidents_in(moments).get(name)
    if found is None:
        raise INCIDENT_UNKNOWN(f"there is no incident {shown(name)}: see `answerable incident list`")
    stories = [
        teller.story(Asked((), one), limit=ENTRIES_MAX)
        for one in (*_queries(teller, found), _itself(found.id))
    ]
    story = _joined(stories)
    stops = _stops(teller, found)
    noticed = {one.facts.entry: one for one in stops if one.moment.tag == Tag.HOLD_PLACED}
    for one in story.hits:
        if one.moment.tag == Tag.RULE_FIRED and _is_within(one, found):
            noticed[one.facts.entry] = one
    alert = teller.entry(entry_of(found.name) or 0) if found.kind == "alert" else None
    if alert is not None:
        noticed[alert.facts.entry] = alert
    alarms = tuple(noticed[entry] for entry in sorted(noticed))
    return Gathered(incident=found, story=story, stops=stops, alarms=alarms)


def _stops(teller: StoryTeller, incident: Incident) -> tuple[Hit, ...]:
    """Return what stopped what an incident is about, the newest of its window, oldest first."""
    kinds = tuple(kind_of(one) for one in STOPPING)
    query = Query(terms=(Term("kind", kinds),), since=incident.since, until=incident.before)
    found = [
        one for one in islice(teller.matching(query), ENTRIES_MAX) if _is_stopped(one.moment.leaf, incident)
    ]
    return tuple(sorted(found, key=lambda one: one.facts.entry))


def _is_stopped(leaf: Mapping[str, JSONValue], incident: Incident) -> bool:
    """Whether a stop is of a name that the incident covers, or of more."""
    kind, name, covers = (
        str(leaf.get("kind", "mandate")),
        leaf.get("name", leaf.get("mandate")),
        incident.covers,
    )
    if not covers or kind == "everything" or (incident.kind, incident.name) == (kind, name):
        return True
    if incident.kind == "hold" and leaf.get("hold") == incident.name:
        return True
    return name in covers.get("person" if kind == "owner" else kind, ())


def _statements(teller: StoryTeller, term: Term) -> tuple[list[Moment], bool]:
    """Return the newest entries about incidents that meet a term, oldest first, and whether there are more."""
    found: list[Moment] = []
    for hit in teller.matching(Query(terms=(term,))):
        if len(found) == STATEMENTS_MAX:
            return found[::-1], True
        found.append(hit.moment)
    return found[::-1], False


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
