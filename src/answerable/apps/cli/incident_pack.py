"""Write an incident into a folder for others: story, evidence, tables, OCSF events, and a checklist of duties.

Law: everything is what the ledger shows when the folder is written, so what was erased by then is nowhere in it; what
has no data says so.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from base64 import b64decode
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.apps.cli.asked_index import complete_told, entry_told
from answerable.apps.cli.csv_rows import write_row
from answerable.apps.cli.incident_ocsf import ocsf_events
from answerable.apps.cli.terminal import safe
from answerable.apps.cli.told_incident import (
    NO_DATA,
    about,
    asked_told,
    change_of,
    entry_of,
    note_told,
    record_of,
)
from answerable.errors import shown
from answerable.errors.codes.incidents import INCIDENT_FOLDER, INCIDENT_WRITE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.api.evidence_answers import Evidence
    from answerable.api.incident_answers import IncidentAnswer

BUNDLE: Final = "evidence.zip"
SUMS: Final = "SHA256SUMS"
SAID: Final = ("comment", "by_name", "token", "signer")
"""Fields of a statement that a stranger needs to check its signature."""
STATEMENTS_MAX: Final = 200
"""Statements whose fields are shown in the bundle, the newest ones."""
ENTRIES_MAX: Final = 5_000
_MARKUP: Final = re.compile(r"[\\<\[]")
_ACTION: Final = tuple(
    "shard entry at kind agent person mandate use_case capability server resource outcome code approval lease "
    "action".split()
)
"""Columns of the table of actions, beside whether it can be undone, rules and destinations."""


def wanted_entries(answer: IncidentAnswer) -> tuple[int, ...]:
    """Return the entries that the evidence shows: all of the story in the log of the incident, and what people said,
    the newest ones."""
    home = answer.incident.shard
    found = {one.index for one in answer.story.lines if one.shard == home} | {
        one.entry for one in answer.notes
    }
    found |= {one.entry for one in answer.clock if one.entry is not None and one.shard == home}
    return tuple(sorted(found)[-ENTRIES_MAX:])


def wanted_fields(answer: IncidentAnswer, more: Iterable[str]) -> tuple[str, ...]:
    """Return the fields that the evidence shows: what people said and signed, as far as it was not erased. more: those
    that the user chooses."""
    said = [one.entry for one in answer.notes if one.text is not None][-STATEMENTS_MAX:]
    return (*(f"{entry}:{name}" for entry in said for name in SAID), *more)


def write_pack(folder: Path, answer: IncidentAnswer, evidence: Evidence, key: str) -> list[str]:
    """Write the folder, which must not exist, and return the names of its files.

    key: the log's verifier key. Raises Malformed (`incident.folder`), Unavailable (`incident.write`).
    """
    files = {
        "README.md": _readme(answer, evidence, key).encode(),
        "story.txt": "".join(f"{line}\n" for line in _story(answer)).encode(),
        "checklist.md": _checklist(answer).encode(),
        "incident.json": msgspec.json.format(msgspec.json.encode(answer)) + b"\n",
        "ocsf.json": msgspec.json.format(msgspec.json.encode(ocsf_events(answer))) + b"\n",
        BUNDLE: b64decode(evidence.bundle),
        **{f"{name}.csv": _table(rows) for name, rows in _tables(answer)},
    }
    sums = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    files[SUMS] = "".join(sums).encode()
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise INCIDENT_FOLDER(f"{shown(folder)} exists already: name a folder that does not") from None
    except OSError as error:
        raise _cannot(folder, error) from None
    for name, content in files.items():
        try:
            # It may be personal data.
            with open(folder / name, "xb", opener=partial(os.open, mode=0o600)) as file:
                file.write(content)
        except OSError as error:
            raise _cannot(folder / name, error) from None
    return sorted(files)


def _cannot(path: Path, error: OSError) -> Exception:
    return INCIDENT_WRITE(f"cannot write {shown(path)}: {(error.strerror or 'unknown').lower()}")


def _readme(answer: IncidentAnswer, evidence: Evidence, key: str) -> str:
    incident, story = answer.incident, answer.story
    facts = [
        f"- **{name}**: {_marked(', '.join(map(str, value)) if isinstance(value, list) else str(value))}"
        for name, value in record_of(answer)
        if value not in ("", [])
    ]
    seen = (
        "its witnesses have cosigned it" if evidence.witnessed else "its witnesses have not cosigned it yet"
    )
    lines = [
        f"# Incident {incident.id}",
        "",
        *facts,
        "",
        f"From log `{answer.log}`, {complete_told(story)}. Where it says *no data*, no entry has it.",
        "",
        "## Check it",
        "",
        f"`{BUNDLE}` has the entries that this folder was made from, with proofs that they are in the log, and what",
        f"people signed. It covers {len(evidence.entries)} entries; {seen}. Check it with the log's key or",
        "policy, from a source other than this folder:",
        "",
        "```sh",
        f"answerable evidence verify {BUNDLE} --key '{key}'",
        f"sha256sum --check {SUMS}",
        "```",
        "",
        "An entry in a table or in the story is the one of that index in the bundle. Fields that are not shown there",
        "are the statement of whoever made this folder.",
        *_of_others(answer),
        "",
        "| file | has |",
        "|---|---|",
        "| `story.txt` | everything that happened, oldest first |",
        "| `checklist.md` | the clock, whom to tell and until when, what is not known |",
        "| `*.csv` | actions, data that were read, clock, duties, statements |",
        "| `ocsf.json` | the same as OCSF events |",
        "| `incident.json` | all of it for programs |",
        f"| `{BUNDLE}` | evidence |",
    ]
    return "\n".join(lines) + "\n"


def _of_others(answer: IncidentAnswer) -> Iterator[str]:
    told = dict.fromkeys(one.shard for one in answer.story.lines if one.shard != answer.incident.shard)
    if told:
        yield f"Entries of other shards ({', '.join(told)}) are told as SHARD/ENTRY. They are not in the bundle, which"
        yield "is of one log: `answerable evidence export` at the server of each makes one."


def _marked(text: str) -> str:
    """Return a text as Markdown shows it: no markup and no link of whoever wrote it."""
    return _MARKUP.sub(r"\\\g<0>", safe(text))


def _story(answer: IncidentAnswer) -> Iterator[str]:
    if answer.story.is_cut:
        yield "(older entries are left out)"
    for line in answer.story.lines:
        yield safe(f"{line.at}  #{entry_told(line.shard, line.index)}  {line.text}")
        yield from (f"    {safe(detail)}" for detail in line.details)


def _checklist(answer: IncidentAnswer) -> str:
    lines = [f"# Checklist of incident {answer.incident.id}", "", "## Clock", ""]
    for moment in answer.clock:
        entry = f", entry {entry_told(moment.shard, moment.entry)}" if moment.entry is not None else ""
        lines.append(f"- {moment.name}: {moment.at or NO_DATA}{entry} ({_marked(moment.says)})")
    lines += ["", "## Duties", ""]
    for duty in answer.duties:
        told = f", told {duty.told_at}" if duty.told_at else ""
        done = "x" if duty.told_at else " "
        lines.append(
            f"- [{done}] **{duty.name}**: due {duty.due or NO_DATA} ({duty.hours} h from detection); "
            f"{duty.state}{told}. {duty.says}"
        )
    if not answer.duties:
        lines.append(f"{NO_DATA}: none was configured when the incident was opened")
    asked = [_marked(asked_told(one)) for one in answer.open_questions]
    for title, found in (
        ("Not known", [*map(_marked, answer.questions), *asked]),
        ("Said", [_marked(note_told(one)) for one in answer.notes]),
    ):
        lines += ["", f"## {title}", "", *(f"- {one}" for one in found or [NO_DATA])]
    return "\n".join(lines) + "\n"


_Rows = list[tuple[object, ...]]


def _tables(answer: IncidentAnswer) -> Iterator[tuple[str, _Rows]]:
    """Yield each table by name, with its heading."""
    actions: _Rows = [(*_ACTION, "undoing", "rules", "destinations")]
    for one in answer.actions:
        values = (getattr(one.action, name) for name in _ACTION)
        actions.append((*values, one.undoing, " ".join(one.action.rules), " ".join(one.action.destinations)))
    yield "actions", actions
    data: _Rows = [("server", "capability", "resource", "times", "entries")]
    for read in answer.data:
        resource = read.resource or NO_DATA
        data.append((read.server, read.capability, resource, len(read.entries), " ".join(read.entries)))
    yield "data", data
    clock: _Rows = [("moment", "at", "entry", "from")]
    clock += [(one.name, one.at or NO_DATA, entry_of(one), one.says) for one in answer.clock]
    yield "clock", clock
    duties: _Rows = [("duty", "class", "hours", "due", "told", "state", "is")]
    duties += [
        (one.name, one.of, one.hours, one.due or NO_DATA, one.told_at or NO_DATA, one.state, one.says)
        for one in answer.duties
    ]
    yield "duties", duties
    said: _Rows = [("entry", "at", "by", "change", "answers", "text", "classes", "told", "told_at")]
    for note in answer.notes:
        text = note.text if note.text is not None else NO_DATA
        classes = " ".join(note.classes)
        change = change_of(note)
        said.append(
            (note.entry, note.at, note.by, change, note.answers, text, classes, note.told, note.told_at)
        )
    yield "statements", said
    about_row: _Rows = [("incident", "state", "about", "since", "until", "opened", "closed")]
    row = answer.incident
    about_row.append((row.id, row.state, about(row), row.since, row.until, row.opened_at, row.closed_at))
    yield "incident", about_row


def _table(rows: _Rows) -> bytes:
    written = io.StringIO(newline="")
    for row in rows:
        write_row(written, row)
    return written.getvalue().encode()
