"""Print incidents."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

from answerable.apps.cli.asked_index import complete_told, entry_told, warn_partial
from answerable.apps.cli.told_story import sealed_told

if TYPE_CHECKING:
    from answerable.api.incident_answers import (
        IncidentAnswer,
        IncidentDuty,
        IncidentMoment,
        IncidentNote,
        IncidentRow,
        IncidentsAnswer,
    )
    from answerable.apps.cli.terminal import Terminal

NO_DATA: Final = "no data"
SEALED: Final = "cannot be read without the subject keys"
SHOWN_MAX: Final = 10
"""Lines of one kind that are shown; the rest is counted."""


def show_incidents(terminal: Terminal, answer: IncidentsAnswer) -> None:
    """Print a list of incidents."""
    if terminal.as_json:
        terminal.json(answer)
        return
    warn_partial(terminal, answer)
    is_of_shards = any(one.shard for one in answer.items)
    terminal.table(
        (
            "id",
            "state",
            *(("shard",) if is_of_shards else ()),
            "about",
            "opened",
            "by",
            "classes",
            "notes",
            "open questions",
        ),
        [
            (
                one.id,
                one.state,
                *((one.shard,) if is_of_shards else ()),
                about(one),
                one.opened_at,
                one.opened_by,
                ", ".join(one.classes) or NO_DATA,
                one.notes,
                one.open_questions,
            )
            for one in answer.items
        ],
        empty=f"no incident was ever opened ({complete_told(answer)})",
    )
    if answer.next:
        terminal.say(f"more with --cursor {answer.next}")


def show_incident(terminal: Terminal, answer: IncidentAnswer) -> None:
    """Print one incident."""
    if terminal.as_json:
        terminal.json(answer)
        return
    warn_partial(terminal, answer.story)
    if answer.story.sealed:
        terminal.warn(sealed_told(answer.story.sealed))
    terminal.record(record_of(answer))
    terminal.line("")
    terminal.table(
        ("clock", "at", "entry", "from"),
        [(one.name, one.at or NO_DATA, entry_of(one), one.says) for one in answer.clock],
        empty="",
    )
    if answer.duties:
        terminal.line("")
        terminal.table(
            ("duty", "due", "state", "told", "is"),
            [(one.name, due_of(one), duty_state(one), one.told_at or "", one.says) for one in answer.duties],
            empty="",
        )
    for title, lines in (
        ("not known", [*answer.questions, *map(asked_told, answer.open_questions)]),
        ("said", [note_told(one) for one in answer.notes]),
    ):
        if lines:
            terminal.line("")
            terminal.heading(title)
            for line in lines:
                terminal.line(f"    {line}")
    story = answer.story
    terminal.say(
        f"what it is about: `answerable incident show {answer.incident.id} --json`, or search for it; "
        f"{complete_told(story)}"
    )


def record_of(answer: IncidentAnswer) -> list[tuple[str, object]]:
    """Return the incident in a few lines: who, for whom, which task, which decision, which data."""
    from answerable.core.search.narrative import listed_names, listed_numbers

    incident, gist = answer.incident, answer.story.gist
    gone = gist.not_reversible
    outcomes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in gist.outcomes.items())
    undoing = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in answer.undoing.items())
    data = [_reading(one.server, one.capability, one.resource, len(one.entries)) for one in answer.data]
    until = f" until {incident.until}" if incident.until else " on"
    return [
        ("incident", incident.id),
        ("state", incident.state),
        ("shard", incident.shard),
        ("about", about(incident)),
        ("looked at", f"from {incident.since}{until}"),
        ("is", ", ".join(incident.classes) or NO_DATA),
        ("who", listed_names(gist.agents) or NO_DATA),
        ("for whom", listed_names(gist.people) or NO_DATA),
        ("task", _few(gist.tasks) or NO_DATA),
        ("decided by", listed_names(gist.rules) or NO_DATA),
        ("approval", _few(gist.approvals) or "none asked for"),
        ("actions", f"{sum(gist.outcomes.values())}: {outcomes}" if outcomes else "none"),
        ("undoing", undoing),
        ("cannot be undone", f"{len(gone)}: {listed_numbers(gone)}" if gone else ""),
        ("data read", _few(data) or (SEALED if answer.story.sealed else NO_DATA)),
    ]


def about(row: IncidentRow) -> str:
    """Return what an incident is about."""
    from answerable.core.incident.describe_incidents import about_told

    covers = "; ".join(f"{field} {', '.join(names)}" for field, names in row.covers.items())
    what = about_told(row.about, row.name)
    return what if not covers or row.about == "agent" else f"{what} ({covers})"


def due_of(duty: IncidentDuty) -> str:
    """Return when a duty is due."""
    return duty.due or NO_DATA


def duty_state(duty: IncidentDuty, *, now: float | None = None) -> str:
    """Return the state of a duty at this moment. now: Unix seconds."""
    if duty.state == "no data":
        return f"{NO_DATA}: nobody has said whether it applies"
    late = duty.state == "open" and duty.due and datetime.fromisoformat(duty.due).timestamp()
    return "OVERDUE" if late and late < (time.time() if now is None else now) else duty.state


def note_told(note: IncidentNote) -> str:
    """Return what a person said, in a line."""
    text = note.text if note.text is not None else "(erased, or sealed here)"
    extra = [", ".join(note.classes), f"told {note.told} at {note.told_at}" if note.told else ""]
    said = "; ".join(one for one in extra if one)
    return f"{note.at}  #{note.entry}  {note.by} {done_by(note)}: {text}{f' ({said})' if said else ''}"


def done_by(note: IncidentNote) -> str:
    """Return what a person did by a statement, in a word, and of an answer to which question."""
    return f"answered #{note.answers}" if note.answers is not None else change_of(note)


def change_of(note: IncidentNote) -> str:
    """Return what a person did by a statement, in a word: of notes, whether it is a question or an answer."""
    if note.question:
        return "asked"
    return "answered" if note.answers is not None else note.change


def asked_told(note: IncidentNote) -> str:
    """Return a question that is open, in a line."""
    return f"{note.by} asks (#{note.entry}): {note.text if note.text is not None else NO_DATA}"


def _reading(server: str, capability: str, resource: str, count: int) -> str:
    what = resource or "a resource that is not declared, or sealed"
    return f"{what} by {capability} on {server}, {count} {'time' if count == 1 else 'times'}"


def _few(values: list[str] | tuple[str, ...]) -> list[str]:
    rest = len(values) - SHOWN_MAX
    return [*values[:SHOWN_MAX], *([f"and {rest} more"] if rest > 0 else [])]


def entry_of(one: IncidentMoment) -> str:
    """Return the address of the entry of a moment of the clock; empty for no data."""
    return f"#{entry_told(one.shard, one.entry)}" if one.entry is not None else ""
