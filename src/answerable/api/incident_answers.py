"""Incidents: what people said of them, and what the index computes."""

from __future__ import annotations

from typing import Annotated

from answerable.api.members import Component, Count, Instant, Part, SignedText, Texts, words
from answerable.api.search_answers import SearchHit, ShardReach, StoryAnswer


class IncidentStatement(Component, frozen=True, kw_only=True):
    """What a person signed about an incident."""

    token: SignedText


class IncidentRecorded(Component, frozen=True, kw_only=True):
    """A recorded statement. entry: its place in the log."""

    incident: str
    change: Annotated[str, words("opened", "noted", "closed")]
    entry: Count
    at: Instant


class IncidentNote(Part, frozen=True, kw_only=True):
    """One statement of a person. text: None where it was erased, or cannot be opened here; by is then the pseudonym.
    told, told_at: who was told of the incident, and when. answers: entry of the question that it answers."""

    entry: Count
    at: Instant
    change: Annotated[str, words("opened", "noted", "closed")]
    by: str
    text: str | None
    classes: Texts
    told: str
    told_at: Instant | None
    question: bool
    answers: Count | None


class IncidentMoment(Part, frozen=True, kw_only=True):
    """A moment of the clock. at, entry: None for no data. shard: as of a hit of a search. says: what it is computed
    from, or why there is no data."""

    name: Annotated[str, words("first attempt", "first effect", "detected", "contained", "told", "closed")]
    at: Instant | None
    shard: str
    entry: Count | None
    says: str


class IncidentDuty(Part, frozen=True, kw_only=True):
    """A duty to tell others. hours: from detection, as configured when the incident was opened. due: None for no data.
    state: `no data` while nobody has said what the incident is."""

    name: str
    says: str
    of: str
    hours: Count
    due: Instant | None
    told_at: Instant | None
    state: Annotated[str, words("told", "told late", "open", "no data", "not said to apply")]


class IncidentAction(Part, frozen=True, kw_only=True):
    """An action that the incident is about. undoing: whether what it did can be undone."""

    action: SearchHit
    undoing: Annotated[str, words("nothing_done", "read", "reversible", "not_reversible", "not_readable")]


class IncidentReading(Part, frozen=True, kw_only=True):
    """Data that was read: a resource, by one capability. resource: empty where it cannot be opened, or none is
    declared. entries: addresses of the actions that read it."""

    server: str
    capability: str
    resource: str
    entries: Texts


class IncidentRow(Component, frozen=True, kw_only=True):
    """An incident in a list. about, name: what it is about. covers: names by field of a search; empty for everything
    in its window. shard: as of a hit of a search. entry: the one that opened it. since, until: what is looked at; None
    for no end. notes: what was said beside opening and closing it."""

    id: str
    shard: str
    state: Annotated[str, words("open", "closed")]
    about: str
    name: str
    covers: dict[str, Texts]
    since: Instant
    until: Instant | None
    entry: Count
    opened_at: Instant
    opened_by: str
    closed_at: Instant | None
    classes: Texts
    notes: Count
    open_questions: Count


class IncidentsAnswer(Component, frozen=True, kw_only=True):
    """Incidents, newest first. next: cursor of the page after this; empty for none.

    entries, complete_at, missing, shards, elsewhere: as in an answer to a search.
    """

    items: tuple[IncidentRow, ...]
    next: str
    entries: Count
    missing: Count
    shards: tuple[ShardReach, ...]
    elsewhere: dict[str, str]
    complete_at: Instant | None


class IncidentAnswer(Component, frozen=True, kw_only=True):
    """An incident. log: whose entries are meant, for which statements about it are signed. notes: what people said,
    oldest first. questions: what is not known, as computed; open_questions: those that people asked. undoing: number of
    actions by whether what they did can be undone. story: of everything that it is about.
    """

    incident: IncidentRow
    log: str
    clock: tuple[IncidentMoment, ...]
    duties: tuple[IncidentDuty, ...]
    actions: tuple[IncidentAction, ...]
    undoing: dict[str, int]
    data: tuple[IncidentReading, ...]
    questions: Texts
    open_questions: tuple[IncidentNote, ...]
    notes: tuple[IncidentNote, ...]
    story: StoryAnswer
