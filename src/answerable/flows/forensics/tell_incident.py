"""Tell an incident: its clock, its duties, what was affected, what is not known. Every number is of entries; where no
entry says a thing, the answer says *no data*, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from answerable.api.incident_answers import (
    IncidentAction,
    IncidentAnswer,
    IncidentDuty,
    IncidentMoment,
    IncidentNote,
    IncidentReading,
    IncidentRow,
    IncidentsAnswer,
)
from answerable.core.incident.incident_duties import BY_NAME
from answerable.core.ledger.tags import Tag
from answerable.core.search.narrative import listed_numbers
from answerable.core.search.undoing import undoing_of
from answerable.flows.forensics.tell_hits import hit_answer, instant, story_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.incident.incident import Incident, Note
    from answerable.core.search.hit import Hit
    from answerable.flows.forensics.gather_incident import Gathered
    from answerable.ports.search_index import Reach

HOUR_MS: Final = 3_600_000
CUT: Final = "older entries are left out of this answer: open an incident of a shorter window"


def incidents_answer(
    found: Sequence[Incident], reach: Reach, *, is_cut: bool, durable: int = 0
) -> IncidentsAnswer:
    """Return a list of incidents as an answer. durable: as for a search."""
    return IncidentsAnswer(
        items=tuple(map(_row, found)),
        is_cut=is_cut,
        entries=reach.entries,
        missing=max(0, durable - reach.entries),
        shards=(),
        elsewhere={},
        complete_at=instant(reach.at) if reach.entries else None,
    )


def incident_answer(found: Gathered, *, log: str, durable: int = 0) -> IncidentAnswer:
    """Return an incident as an answer. log: its origin. durable: as for a search."""
    incident = found.incident
    clock = _clock(found)
    story = story_answer(incident.id, found.story, durable=durable)
    undoing = [(one, undoing_of(one)) for one in found.actions]
    return IncidentAnswer(
        incident=_row(incident),
        log=log,
        clock=tuple(_moment(*one) for one in clock),
        duties=tuple(_duties(incident, next(at for name, at, _, _ in clock if name == "detected"))),
        actions=tuple(IncidentAction(action=hit_answer(one), undoing=how) for one, how in undoing),
        undoing=dict(Counter(how for _, how in undoing)),
        data=tuple(_readings(found.actions)),
        questions=tuple(_questions(found, clock)),
        open_questions=tuple(map(_note, incident.open_questions)),
        notes=tuple(map(_note, incident.notes)),
        story=story,
    )


_Moment = tuple[str, int, int, str]
"""Name, time and entry, 0 and -1 for no data, and what it is computed from."""


def _clock(found: Gathered) -> list[_Moment]:
    incident, done = found.incident, found.done
    changed = [one for one in done if undoing_of(one) != "read"]
    told = [one for one in incident.notes if one.told]
    is_cut = found.story.is_cut
    alarm = found.alarms[0] if found.alarms else None
    opened = ("detected", incident.opened_at, incident.entry, "a person opened the incident")
    noticed = _first("detected", found.alarms[:1], "a rule or a person stopped it, or it is the alert", "")
    return [
        _first(
            "first attempt",
            () if is_cut else found.actions,
            "the first action in it",
            _none(is_cut, "no action"),
        ),
        _first(
            "first effect",
            () if is_cut else changed,
            "the first action that changed something, or that may have",
            _none(is_cut, "no action that changed anything" if done else "no action that ran"),
        ),
        noticed if alarm is not None and alarm.facts.at < incident.opened_at else opened,
        _contained(found),
        *(("told", one.told_at, one.entry, f"{one.told} was told, as {one.by} notes") for one in told),
        *([] if told else [("told", 0, -1, "no note says that anybody was told")]),
        _closed(incident),
    ]


def _none(is_cut: bool, what: str) -> str:
    return CUT if is_cut else f"there is {what} in it"


def _first(name: str, hits: Sequence[Hit], says: str, none: str) -> _Moment:
    return (name, hits[0].facts.at, hits[0].facts.entry, says) if hits else (name, 0, -1, none)


def _contained(found: Gathered) -> _Moment:
    """Return the first stop after which nothing ran."""
    last = max(((one.facts.at, one.facts.entry) for one in found.done), default=(-1, -1))
    for one in found.stops:
        if (_since(one), one.facts.entry) > last:
            return (
                "contained",
                _since(one),
                one.facts.entry,
                "it was stopped, and no action has run after that",
            )
    if found.stops:
        stop = (_since(found.stops[-1]), found.stops[-1].facts.entry)
        late = [one.facts.entry for one in found.done if (one.facts.at, one.facts.entry) > stop]
        return "contained", 0, -1, f"actions ran after the last stop: {listed_numbers(late)}"
    return "contained", 0, -1, "nothing has stopped what it is about"


def _since(hit: Hit) -> int:
    """Return when a stop came into force."""
    since = hit.moment.leaf.get("since")
    return since if type(since) is int else hit.facts.at


def _closed(incident: Incident) -> _Moment:
    closing = next((one for one in incident.notes if one.change == "closed"), None)
    if closing is None:
        return "closed", 0, -1, "it is open"
    return "closed", closing.at, closing.entry, f"{closing.by} closed it"


def _duties(incident: Incident, detected: int) -> Iterator[IncidentDuty]:
    for name, hours in incident.duties.items():
        duty = BY_NAME.get(name)
        of = duty.of if duty is not None else ""
        due = detected + hours * HOUR_MS
        told = min((one.told_at for one in incident.notes if one.told == name), default=0)
        if told:
            state = "told late" if told > due else "told"
        elif not incident.classes:
            state = "no data"
        else:
            state = "open" if of in incident.classes else "not said to apply"
        yield IncidentDuty(
            name=name,
            says=duty.says if duty is not None else name,
            of=of,
            hours=hours,
            due=instant(due),
            told_at=instant(told) if told else None,
            state=state,
        )


def _readings(actions: Sequence[Hit]) -> Iterator[IncidentReading]:
    """Yield what was read, by resource and capability."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for hit in actions:
        if undoing_of(hit) == "read":
            facts = hit.facts
            for resource in facts.sealed.get("resource", ("",)):
                place = (facts.one("server"), facts.one("capability"), resource)
                found.setdefault(place, []).append(facts.entry)
    for (server, capability, resource), entries in sorted(found.items()):
        yield IncidentReading(server=server, capability=capability, resource=resource, entries=tuple(entries))


def _questions(found: Gathered, clock: Sequence[_Moment]) -> Iterator[str]:
    """Yield what is not known, as far as entries show it."""
    incident, actions = found.incident, found.actions
    if not incident.classes:
        yield "nobody has said whether it is serious, or whether personal data are affected"
    contained, says = next((at, says) for name, at, _, says in clock if name == "contained")
    if not contained:
        yield f"it is not contained: {says}"
    odd = [one.facts.entry for one in actions if one.outcome in ("indeterminate", "open")]
    if odd:
        yield f"whether these took effect is not known: {listed_numbers(odd)}"
    sealed = [one.facts.entry for one in actions if undoing_of(one) == "not_readable"]
    if sealed:
        yield f"what these did is erased or sealed, and so is whether it can be undone: {listed_numbers(sealed)}"
    alone = [one.facts.entry for one in actions if one.moment.tag == Tag.INTENT and not one.facts.person]
    if alone:
        yield f"for whom these were is not known: {listed_numbers(alone)}"
    if found.story.is_cut:
        yield f"what happened before entry {found.story.hits[0].facts.entry}: {CUT}"
    withheld = [one.entry for one in incident.notes if one.text is None]
    if withheld:
        yield f"what these statements of people say was erased or is sealed: {listed_numbers(withheld)}"


def _row(incident: Incident) -> IncidentRow:
    return IncidentRow(
        id=incident.id,
        state="closed" if incident.closed_at else "open",
        about=incident.kind,
        name=incident.name,
        covers=dict(incident.covers),
        since=instant(incident.since),
        until=instant(incident.before) if incident.before is not None else None,
        entry=incident.entry,
        opened_at=instant(incident.opened_at),
        opened_by=incident.notes[0].by,
        closed_at=instant(incident.closed_at) if incident.closed_at else None,
        classes=incident.classes,
        notes=len(incident.notes),
        open_questions=len(incident.open_questions),
    )


def _note(one: Note) -> IncidentNote:
    return IncidentNote(
        entry=one.entry,
        at=instant(one.at),
        change=one.change,
        by=one.by,
        text=one.text,
        classes=one.classes,
        told=one.told,
        told_at=instant(one.told_at) if one.told_at else None,
        question=one.is_question,
        answers=one.answers if one.answers >= 0 else None,
    )


def _moment(name: str, at: int, entry: int, says: str) -> IncidentMoment:
    return IncidentMoment(
        name=name, at=instant(at) if at else None, entry=entry if entry >= 0 else None, says=says
    )
