"""Answer questions for a story, a name, an incident and what was out of scope: in the process that keeps the index, and
in commands that read the ledger's files themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.under_manifest import wanted_manifest
from answerable.core.search.names import parsed_names
from answerable.core.search.query import Query, checked_limit, parsed_cursor, parsed_query
from answerable.errors import shown
from answerable.errors.codes.incidents import INCIDENT_UNKNOWN
from answerable.flows.forensics.count_scope import check_conditions, count_scope
from answerable.flows.forensics.describe_name import completed_names, describe_name, may_be
from answerable.flows.forensics.find_under import check_known, find_under, manifests_of
from answerable.flows.forensics.gather_incident import gathered, incidents, opened
from answerable.flows.forensics.tell_hits import name_answer, scope_answer, story_answer
from answerable.flows.forensics.tell_incident import incident_answer, incident_part, incidents_answer
from answerable.flows.forensics.trace_to_person import traced
from answerable.ports.search_process import IncidentOpened, PartQuestion, TraceAnswer, UnderAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.api.incident_answers import IncidentAnswer, IncidentsAnswer
    from answerable.api.search_answers import NameAnswer, ScopeAnswer, StoryAnswer
    from answerable.core.incident.under_manifest import WantedManifest
    from answerable.errors import Malformed
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_process import (
        IncidentPart,
        IncidentQuestion,
        IncidentsQuestion,
        MadeAnswer,
        NameQuestion,
        ScopeQuestion,
        StoryQuestion,
        TraceQuestion,
        UnderQuestion,
    )

    Sealed = Callable[[Query, Sequence[str]], tuple[str, ...]]
    """Returns the fields of a question, and of its bare names, that cannot be compared here."""


def _nothing_sealed(query: Query, names: Sequence[str]) -> tuple[str, ...]:
    return ()


def answered_story(
    teller: StoryTeller, question: StoryQuestion, *, now: int, sealed: Sealed = _nothing_sealed
) -> StoryAnswer:
    """Return the story of names, narrowed by words of a search.

    now: for times that are said as long ago. Raises Malformed (`search.*`), Unavailable, and Broken as the index and
    the log do.
    """
    wanted, limit = parsed_names(question.words, now=now), checked_limit(question.limit)
    story = teller.story(wanted, limit=limit)
    whole = wanted if story.hits else completed_names(teller, wanted)
    if whole != wanted:
        story = teller.story(whole, limit=limit)
    return story_answer(
        " ".join(question.words),
        story,
        durable=question.entries,
        sealed=sealed(whole.query, whole.names),
    )


def answered_name(
    teller: StoryTeller, question: NameQuestion, *, sealed: Sealed = _nothing_sealed
) -> NameAnswer:
    """Return what a name stands for. Raises as `answered_story`."""
    asked = parsed_names([question.name], now=0)
    candidates = may_be(teller, question.name)
    found = describe_name(teller, candidates[0]) if len(candidates) == 1 else None
    return name_answer(
        candidates,
        found,
        teller.index.reach(),
        durable=question.entries,
        sealed=sealed(asked.query, asked.names),
    )


def answered_scope(teller: StoryTeller, question: ScopeQuestion, *, now: int) -> ScopeAnswer:
    """Return the count of what was out of scope. Raises as `answered_story`, and Malformed (`scope.field`)."""
    query = parsed_query(question.words, now=now)
    check_conditions(query)
    counted = count_scope(teller, query, rows=checked_limit(question.rows))
    return scope_answer(counted, durable=question.entries)


def answered_under(teller: StoryTeller, question: UnderQuestion) -> UnderAnswer:
    """Return a page of actions under a manifest. Raises as `answered_story`, Malformed (`timeline.*`), and Refused
    (`timeline.manifest_unknown`)."""
    wanted, after = _wanted(question), parsed_cursor(question.cursor) if question.cursor else None
    found = find_under(
        teller,
        wanted,
        limit=checked_limit(question.limit),
        after=after,
        named=question.named,
        made=question.made,
        is_alone=question.within == "all",
    )
    return UnderAnswer(items=found.actions, next=found.next)


def answered_made(teller: StoryTeller, question: UnderQuestion) -> MadeAnswer:
    """Return the manifests of this log that match. Raises as `answered_under`."""
    return manifests_of(teller, _wanted(question))


def check_wanted(question: UnderQuestion, *, is_known: bool, unread: int) -> None:
    """As `check_known`, for a question about several logs."""
    check_known(_wanted(question), is_known=is_known, unread=unread)


def _wanted(question: UnderQuestion) -> WantedManifest:
    return wanted_manifest(manifest=question.manifest, prompt=question.prompt, model=question.model)


def answered_trace(
    teller: StoryTeller, question: TraceQuestion, *, monotonic: Callable[[], float]
) -> TraceAnswer:
    """Return whether effects can be traced to people. monotonic: returns seconds. Raises as `answered_story`."""
    found = (traced(teller.log, teller.find, one, monotonic=monotonic) for one in question.ends)
    return TraceAnswer(items=tuple(found))


def answered_incidents(teller: StoryTeller, question: IncidentsQuestion) -> IncidentsAnswer:
    """Return a page of incidents. Raises as `answered_story`."""
    after = parsed_cursor(question.cursor) if question.cursor else None
    return incidents_answer(
        incidents(teller, limit=checked_limit(question.limit), after=after), durable=question.entries
    )


def answered_opened(teller: StoryTeller, question: IncidentQuestion) -> IncidentOpened:
    """Return what people said of an incident in this log. Raises Unavailable, and Broken as the index and the log
    do."""
    return IncidentOpened(incident=opened(teller, question.name), log=teller.log.origin)


def answered_part(
    teller: StoryTeller, question: PartQuestion, *, sealed: Sealed = _nothing_sealed
) -> IncidentPart:
    """Return what this log has of an incident. Raises as `answered_opened`."""
    incident = question.incident
    found = gathered(teller, incident, is_home=question.is_home)
    return incident_part(incident.id, found, durable=question.entries, sealed=sealed(Query(), (incident.id,)))


def answered_incident(
    teller: StoryTeller, question: IncidentQuestion, *, sealed: Sealed = _nothing_sealed
) -> IncidentAnswer:
    """Return one incident, of this log alone. Raises as `answered_opened`, and Malformed (`incident.unknown`)."""
    said = answered_opened(teller, question)
    if said.incident is None:
        raise unknown_incident(question.name)
    asked = PartQuestion(incident=said.incident, is_home=True, entries=question.entries)
    part = answered_part(teller, asked, sealed=sealed)
    return incident_answer(said.incident, {"": part}, part.story, log=said.log)


def unknown_incident(name: str, more: str = "") -> Malformed:
    """Return that there is no such incident. more: where it was looked for."""
    return INCIDENT_UNKNOWN(f"there is no incident {shown(name)}: see `answerable incident list`{more}")
