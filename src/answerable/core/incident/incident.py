"""An incident as its entries say it: a projection, with no other home.

Laws: the first statement that opens an id is the incident; a statement counts once, whatever the number of its entries;
what is closed stays closed; what cannot be opened any more is told as withheld, never guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.timeline import Moment

ID_PREFIX: Final = "inc_"
NAMES_MAX: Final = 200
"""Names of one field that an incident covers."""


class Note(Struct, frozen=True, kw_only=True):
    """One statement. by: the name of the person where it can be opened, else the pseudonym. text: None where it cannot
    be opened. answers: entry of the question; -1 for none."""

    entry: int
    at: int
    change: str
    statement: str
    by: str
    text: str | None
    classes: tuple[str, ...]
    told: str
    told_at: int
    is_question: bool
    answers: int


class Incident(Struct, frozen=True, kw_only=True):
    """An incident, as processes tell each other, too. kind, name: of what it is about. covers: names by field of a
    search; empty for everything in its window. duties: hours by name. until: 0 for no end. closed_at: 0 while it is
    open. notes: all statements, the one that opened it first."""

    id: str
    kind: str
    name: str
    covers: dict[str, tuple[str, ...]]
    duties: dict[str, int]
    since: int
    until: int
    notes: tuple[Note, ...]
    closed_at: int = 0

    @property
    def entry(self) -> int:
        """Index of the entry that opened it."""
        return self.notes[0].entry

    @property
    def opened_at(self) -> int:
        """When it was opened, Unix milliseconds."""
        return self.notes[0].at

    @property
    def before(self) -> int | None:
        """Before when it is looked at: as was said, or what came until it was closed; None for no end yet."""
        ends = (self.until, self.closed_at + 1 if self.closed_at else 0)
        return min((one for one in ends if one), default=None)

    @property
    def classes(self) -> tuple[str, ...]:
        """What it is by law, as far as people said."""
        return tuple(sorted({name for one in self.notes for name in one.classes}))

    @property
    def open_questions(self) -> tuple[Note, ...]:
        """Questions of people that no note answers."""
        answered = {one.answers for one in self.notes}
        return tuple(one for one in self.notes if one.is_question and one.entry not in answered)


def incidents_in(moments: Iterable[Moment]) -> dict[str, Incident]:
    """Return the incidents of these entries, by id, in the order in which they were opened. moments: oldest first."""
    found: dict[str, Incident] = {}
    for moment in moments:
        name = moment.leaf.get("incident")
        if moment.tag == Tag.INCIDENT and isinstance(name, str):
            after = incident_after(found.get(name), moment)
            if after is not None:
                found[name] = after
    return found


def incident_after(known: Incident | None, moment: Moment) -> Incident | None:
    """Return an incident after one of its entries; None where nothing has opened it."""
    note = _note(moment)
    if known is None:
        return _opened(moment, note) if note.change == "opened" else None
    if note.change == "opened" or any(one.statement == note.statement for one in known.notes):
        return known
    closed = note.at if note.change == "closed" and not known.closed_at else known.closed_at
    return replace(known, notes=(*known.notes, note), closed_at=closed)


def _opened(moment: Moment, note: Note) -> Incident:
    leaf = moment.leaf
    covers, duties = leaf.get("covers"), leaf.get("duties")
    return Incident(
        id=str(leaf.get("incident")),
        kind=str(leaf.get("about")),
        name=str(leaf.get("about_name")),
        covers={
            field: tuple(str(one) for one in names)
            for field, names in (covers.items() if isinstance(covers, dict) else ())
            if isinstance(names, list)
        },
        duties={
            name: hours
            for name, hours in (duties.items() if isinstance(duties, dict) else ())
            if type(hours) is int
        },
        since=_number(leaf, "since"),
        until=_number(leaf, "until"),
        notes=(note,),
    )


def _note(moment: Moment) -> Note:
    leaf, opened = moment.leaf, moment.payload or {}
    name, text, classes = opened.get("by"), opened.get("comment"), leaf.get("classes")
    return Note(
        entry=moment.index,
        at=_number(leaf, "at"),
        change=str(leaf.get("change")),
        statement=str(leaf.get("statement")),
        by=name if isinstance(name, str) else str(leaf.get("by")),
        text=text if isinstance(text, str) else None,
        classes=tuple(str(one) for one in classes) if isinstance(classes, list) else (),
        told=str(leaf.get("told", "")),
        told_at=_number(leaf, "told_at"),
        is_question=leaf.get("question") is True,
        answers=_number(leaf, "answers", -1),
    )


def _number(leaf: Mapping[str, JSONValue], name: str, default: int = 0) -> int:
    value = leaf.get(name)
    return value if type(value) is int else default
