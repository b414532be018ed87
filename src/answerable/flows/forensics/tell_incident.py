"""Tell an incident: its clock, its duties, what was affected, what is not known. Every number is of entries; where no
entry says a thing, the answer says *no data*, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

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
from answerable.core.incident.containing import STOPPABLE, Acted, At, Stop, containment, stop_of
from answerable.core.incident.incident_duties import BY_NAME
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import kind_of
from answerable.core.search.narrative import listed_numbers
from answerable.core.search.undoing import DONE, undoing_of
from answerable.flows.forensics.tell_hits import address, hit_answer, instant, millis, story_answer
from answerable.ports.search_process import IncidentPart, StopTold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from answerable.api.members import Texts
    from answerable.api.search_answers import StoryAnswer
    from answerable.core.incident.incident import Incident, Note
    from answerable.core.search.hit import Hit
    from answerable.flows.forensics.gather_incident import Gathered, IncidentPage

HOUR_MS: Final = 3_600_000
CUT: Final = "older entries are left out of this answer: open an incident of a shorter window"

NOTICED: Final = (
    "the first rule that fired, hold, revocation or finding in a target's log, or the alert that it is about"
)


def incidents_answer(page: IncidentPage, *, durable: int = 0) -> IncidentsAnswer:
    """Return a page of incidents as an answer. durable: as for a search."""
    return IncidentsAnswer(
        items=tuple(_row(one, "") for one in page.items),
        next=page.next,
        entries=page.reach.entries,
        missing=max(0, durable - page.reach.entries),
        shards=(),
        elsewhere={},
        complete_at=instant(page.reach.at) if page.reach.entries else None,
    )


def incident_part(
    name: str, found: Gathered, *, durable: int = 0, sealed: tuple[str, ...] = ()
) -> IncidentPart:
    """Return what one log has of an incident. durable, sealed: as for a search."""
    actions = found.actions
    return IncidentPart(
        actions=tuple(IncidentAction(action=hit_answer(one), undoing=undoing_of(one)) for one in actions),
        names=tuple(
            {field: one.facts.names[field] for field in STOPPABLE if field in one.facts.names}
            for one in actions
        ),
        data=tuple(_readings(actions)),
        stops=tuple(_stop(one) for one in found.stops),
        noticed=tuple((one.facts.at, one.facts.entry) for one in found.alarms),
        story=story_answer(name, found.story, durable=durable, sealed=sealed),
    )


def incident_answer(
    incident: Incident, parts: Mapping[str, IncidentPart], story: StoryAnswer, *, log: str, home: str = ""
) -> IncidentAnswer:
    """Return an incident as an answer. parts: what each log has of it, by shard. story: of all of them. log, home:
    origin of the log in which it was opened, and its shard."""
    acted = sorted(_acted(parts), key=lambda one: one.place)
    clock = _clock(incident, parts, acted, home, unread=_unread(story))
    return IncidentAnswer(
        incident=_row(incident, home),
        log=log,
        clock=tuple(_moment(one) for one in clock),
        duties=tuple(_duties(incident, next(one.place.at for one in clock if one.name == "detected"))),
        actions=tuple(one.told for one in acted),
        undoing=dict(Counter(one.told.undoing for one in acted)),
        data=_joined_readings(parts),
        questions=tuple(_questions(incident, clock, acted, story, home)),
        open_questions=tuple(map(_note, incident.open_questions)),
        notes=tuple(map(_note, incident.notes)),
        story=story,
    )


class _Action(NamedTuple):
    """An action, with the names by which it can be stopped."""

    place: At
    told: IncidentAction
    names: Mapping[str, Texts]

    @property
    def ran(self) -> bool:
        """Whether it ran, or may have."""
        return self.told.action.kind == _INTENT and self.told.action.outcome in DONE


class _Tick(NamedTuple):
    """A moment of the clock. place: `_NONE` for no data. says: what it is computed from."""

    name: str
    place: At
    says: str


_INTENT: Final = kind_of(Tag.INTENT)
_NONE: Final = At(0, "", -1)


def _acted(parts: Mapping[str, IncidentPart]) -> Iterator[_Action]:
    for shard, part in parts.items():
        for one, names in zip(part.actions, part.names, strict=True):
            told = IncidentAction(action=replace(one.action, shard=shard), undoing=one.undoing)
            yield _Action(At(millis(one.action.at), shard, one.action.entry), told, names)


def _stop(hit: Hit) -> StopTold:
    stop, since = stop_of(hit.moment.leaf), hit.moment.leaf.get("since")
    at = since if type(since) is int else hit.facts.at
    return StopTold(entry=hit.facts.entry, at=at, kind=stop.kind, name=stop.name, hold=stop.hold)


def _clock(
    incident: Incident,
    parts: Mapping[str, IncidentPart],
    acted: Sequence[_Action],
    home: str,
    *,
    unread: str,
) -> list[_Tick]:
    """unread: what may be missing; empty where all of it was read."""
    ran = [one for one in acted if one.ran]
    changed = [one for one in ran if one.told.undoing != "read"]
    told = [one for one in incident.notes if one.told]
    opened = At(incident.opened_at, home, incident.entry)
    noticed = min(
        (At(at, shard, entry) for shard, part in parts.items() for at, entry in part.noticed), default=_NONE
    )
    is_noticed = noticed != _NONE and noticed.at < opened.at
    return [
        _first(
            "first attempt", () if unread else acted, "the first action in it", _none(unread, "no action")
        ),
        _first(
            "first effect",
            () if unread else changed,
            "the first action that changed something, or that may have",
            _none(unread, "no action that changed anything" if ran else "no action that ran"),
        ),
        _Tick("detected", noticed, NOTICED)
        if is_noticed
        else _Tick("detected", opened, "a person opened the incident"),
        _contained(incident, parts, acted, unread),
        *(
            _Tick("told", At(one.told_at, home, one.entry), f"{one.told} was told, as {one.by} notes")
            for one in told
        ),
        *([] if told else [_Tick("told", _NONE, "no note says that anybody was told")]),
        _closed(incident, home),
    ]


def _unread(story: StoryAnswer) -> str:
    """Return why something that happened may be missing; empty where all logs were read whole."""
    if story.elsewhere:
        return f"what happened in the log of shard {', '.join(story.elsewhere)} is not known"
    return CUT if story.is_cut else ""


def _none(unread: str, what: str) -> str:
    return unread or f"there is {what} in it"


def _first(name: str, found: Sequence[_Action], says: str, none: str) -> _Tick:
    return _Tick(name, found[0].place, says) if found else _Tick(name, _NONE, none)


def _contained(
    incident: Incident, parts: Mapping[str, IncidentPart], acted: Sequence[_Action], unread: str
) -> _Tick:
    """Return the stop by which all that ran had been stopped. unread: why some of it may not be among these."""
    stops = (
        (At(one.at, shard, one.entry), Stop(one.kind, one.name, one.hold))
        for shard, part in parts.items()
        for one in part.stops
    )
    found = containment(incident, (Acted(one.place, one.ran, one.names) for one in acted), stops)
    if found.at is not None and unread:
        return _Tick("contained", _NONE, unread)
    if found.at is not None:
        return _Tick("contained", found.at, "it was stopped, and no action has run after that")
    if not found.stops:
        return _Tick("contained", _NONE, "nothing has stopped what it is about")
    left = listed_numbers([address(one.shard, one.entry) for one in found.left])
    return _Tick("contained", _NONE, f"what did these has not been stopped since: {left}")


def _closed(incident: Incident, home: str) -> _Tick:
    closing = next((one for one in incident.notes if one.change == "closed"), None)
    if closing is None:
        return _Tick("closed", _NONE, "it is open")
    return _Tick("closed", At(closing.at, home, closing.entry), f"{closing.by} closed it")


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
        yield IncidentReading(
            server=server, capability=capability, resource=resource, entries=tuple(map(str, entries))
        )


def _joined_readings(parts: Mapping[str, IncidentPart]) -> tuple[IncidentReading, ...]:
    found: dict[tuple[str, str, str], IncidentReading] = {}
    for shard, part in parts.items():
        for one in part.data:
            place = (one.server, one.capability, one.resource)
            entries = tuple(address(shard, entry) for entry in one.entries)
            known = found.get(place)
            found[place] = replace(one, entries=(*known.entries, *entries) if known is not None else entries)
    return tuple(found[place] for place in sorted(found))


def _questions(
    incident: Incident, clock: Sequence[_Tick], acted: Sequence[_Action], story: StoryAnswer, home: str
) -> Iterator[str]:
    """Yield what is not known, as far as entries show it."""

    def listed(found: Iterable[_Action]) -> str:
        return listed_numbers([address(one.place.shard, one.place.entry) for one in found])

    if not incident.classes:
        yield "nobody has said whether it is serious, or whether personal data are affected"
    contained = next(one for one in clock if one.name == "contained")
    if contained.place == _NONE:
        yield f"it is not contained: {contained.says}"
    odd = [one for one in acted if one.told.action.outcome in ("indeterminate", "open")]
    if odd:
        yield f"whether these took effect is not known: {listed(odd)}"
    sealed = [one for one in acted if one.told.undoing == "not_readable"]
    if sealed:
        yield f"what these did is erased or sealed, and so is whether it can be undone: {listed(sealed)}"
    alone = [one for one in acted if one.told.action.kind == _INTENT and not one.told.action.person]
    if alone:
        yield f"for whom these were is not known: {listed(alone)}"
    if story.is_cut:
        first = story.lines[0]
        yield f"what happened before entry {address(first.shard, first.index)}: {CUT}"
    withheld = [address(home, one.entry) for one in incident.notes if one.text is None]
    if withheld:
        yield f"what these statements of people say was erased or is sealed: {listed_numbers(withheld)}"
    for shard, why in story.elsewhere.items():
        yield f"what happened in the log of shard {shard}: {why}"


def _row(incident: Incident, shard: str) -> IncidentRow:
    return IncidentRow(
        shard=shard,
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
        notes=sum(one.change == "noted" for one in incident.notes),
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


def _moment(one: _Tick) -> IncidentMoment:
    at, shard, entry = one.place
    return IncidentMoment(
        name=one.name,
        at=instant(at) if at else None,
        shard=shard,
        entry=entry if entry >= 0 else None,
        says=one.says,
    )
