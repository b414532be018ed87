"""Incidents: open one, list and show them, note on one, close one, and pack one for others."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.evidence import Reveal, Wait
from answerable.apps.cli.exit_codes import PENDING
from answerable.apps.cli.search import After, Index, Keys, LedgerCopy, Limit, Until

if TYPE_CHECKING:
    from answerable.api.incident_answers import (
        IncidentAnswer,
        IncidentRecorded,
        IncidentStatement,
    )
    from answerable.apps.cli.asked_index import CopyAsked
    from answerable.client.transport import Transport
    from answerable.core.incident.incident_statement import IncidentClaims

Text = Annotated[str, typer.Argument(help="What is known, in a sentence, for the record.", metavar="TEXT")]
NoteText = Annotated[str, typer.Argument(help="What is to be on record.", metavar="TEXT")]
Id = Annotated[str, typer.Argument(help="Id of the incident, or its beginning.", metavar="ID")]
Alert = Annotated[
    str, typer.Option("--alert", help="The entry of an alert, by index.", show_default=False, metavar="ENTRY")
]
AboutHold = Annotated[
    str, typer.Option("--hold", help="What a hold stopped.", show_default=False, metavar="ID")
]
Agent = Annotated[str, typer.Option("--agent", help="An agent.", show_default=False, metavar="NAME")]
Vendor = Annotated[
    str,
    typer.Option(
        "--vendor",
        help="The agents and servers that have this vendor now.",
        show_default=False,
        metavar="NAME",
    ),
]
Window = Annotated[bool, typer.Option("--window", help="Everything between --since and --until.")]
From = Annotated[
    str, typer.Option("--since", help="From when on it is looked at: a time, or as long ago.", metavar="TIME")
]
Class = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        help="What it is by law, as far as you know: serious, widespread, death, personal-data; may be given several "
        "times.",
        metavar="CLASS",
    ),
]
Told = Annotated[
    str,
    typer.Option(
        "--told",
        help="Who was told of it: a duty, such as gdpr-33 or ai-act-73, or any name that is not like one.",
        show_default=False,
        metavar="NAME",
    ),
]
ToldAt = Annotated[
    str, typer.Option("--told-at", help="When they were told; default: now.", show_default=False)
]
Question = Annotated[bool, typer.Option("--question", help="It is a question that is open.")]
Answers = Annotated[
    int, typer.Option("--answers", help="Entry of the question that it answers.", show_default=False, min=-1)
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist yet.", metavar="DIR")]
Person = Annotated[str, typer.Option("--as", help="Your registered name.", metavar="PERSON")]
KeyFile = Annotated[Path, typer.Option("--key", help="Your key file.", metavar="FILE")]

DAY: Final = "24h"
ID_BYTES: Final = 16


def register(app: typer.Typer) -> None:
    """Add the noun `incident`."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Incidents: what happened, who was told and what is not known, on record; nothing is stopped by them.",
    )
    opens = "incident open 'it deleted rows in production' --agent scout --since 2h --as ada --key ada.jwk"
    command(group, "open", reads=True, example=opens)(open_incident)
    command(group, "list", reads=True)(list_incidents)
    command(group, "show", reads=True)(show)
    command(group, "note", reads=True)(note)
    command(group, "close", reads=True)(close)
    command(group, "pack", reads=True, example="incident pack ID --out incident-1")(pack)
    app.add_typer(group, name="incident")


def open_incident(
    shell: Shell,
    text: Text,
    person: Person,
    key: KeyFile,
    alert: Alert = "",
    hold: AboutHold = "",
    agent: Agent = "",
    vendor: Vendor = "",
    window: Window = False,
    since: From = DAY,
    until: Until = "",
    of: Class = None,
) -> None:
    """Open an incident, signed: its clock begins, and what it is about is told from the ledger.

    Say what it is about with exactly one of --alert, --hold, --agent, --vendor and --window. Nothing is stopped: use
    `answerable stop` for that.
    """
    from answerable.client import incident_calls, ledger_calls
    from answerable.core.incident.incident_statement import incident_claims
    from answerable.core.search.query import moment
    from answerable.errors.codes.incidents import INCIDENT_OPTIONS

    named = {"alert": alert.lstrip("#"), "hold": hold, "agent": agent, "vendor": vendor}
    given = [(kind, name) for kind, name in named.items() if name] + [("window", "")] * window
    if len(given) != 1:
        raise INCIDENT_OPTIONS()
    now = _now()
    kind, name = given[0]
    bounds = moment(since, now=now), moment(until, now=now) if until else 0
    with shell.control() as control:
        origin = ledger_calls.show_ledger(control).origin
        claims = incident_claims(
            person,
            origin,
            text,
            at=now,
            random=os.urandom(ID_BYTES),
            change="opened",
            kind=kind,
            name=name,
            since_ms=bounds[0],
            until_ms=bounds[1],
            classes=[*sorted({*(of or ())})],
        )
        done = incident_calls.open_incident(control, _signed(claims, key))
    return _told(
        shell, done, f"incident {done.incident} is open; see `answerable incident show {done.incident}`"
    )


def list_incidents(
    shell: Shell,
    limit: Limit = 50,
    cursor: After = "",
    ledger: LedgerCopy = None,
    keys: Keys = None,
    index: Index = None,
) -> None:
    """Incidents, newest first."""
    from answerable.apps.cli.asked_index import answered, checked_copy
    from answerable.apps.cli.told_incident import show_incidents
    from answerable.client import incident_calls
    from answerable.core.search.log_cursors import check_cursor
    from answerable.core.search.query import checked_limit
    from answerable.ports.search_process import INCIDENTS, IncidentsQuestion

    copy, asked = (
        checked_copy(ledger, keys, index),
        IncidentsQuestion(limit=checked_limit(limit), cursor=cursor),
    )
    check_cursor(cursor)
    answer = answered(
        shell,
        copy,
        lambda control: incident_calls.list_incidents(control, limit=str(limit), cursor=cursor or None),
        lambda files: files.ask(INCIDENTS, asked),
    )
    show_incidents(shell.terminal, answer)


def show(shell: Shell, id: Id, ledger: LedgerCopy = None, keys: Keys = None, index: Index = None) -> None:
    """One incident: its clock, its duties, what was affected and can be undone, and what is not known.

    Who, for whom, which task, which decision and which data: all of it is computed from the ledger as it is now, and
    says *no data* where no entry has it. `answerable timeline ID` tells what people said, and `--json` has each action.
    """
    from answerable.apps.cli.asked_index import checked_copy
    from answerable.apps.cli.told_incident import show_incident

    show_incident(shell.terminal, incident_asked(shell, id, checked_copy(ledger, keys, index)))


def note(
    shell: Shell,
    id: Id,
    text: NoteText,
    person: Person,
    key: KeyFile,
    of: Class = None,
    told: Told = "",
    told_at: ToldAt = "",
    question: Question = False,
    answers: Answers = -1,
) -> None:
    """Note on an incident, signed: what was found out, who was told, a question that is open, or its answer."""
    from answerable.client import incident_calls
    from answerable.core.incident.incident_statement import incident_claims
    from answerable.core.search.query import moment
    from answerable.errors import shown
    from answerable.errors.codes.incidents import INCIDENT_OPTIONS

    if told_at and not told:
        raise INCIDENT_OPTIONS("--told-at is given with --told: say who was told")
    now = _now()
    known = incident_asked(shell, id)
    claims = incident_claims(
        person,
        known.log,
        text,
        at=now,
        random=os.urandom(ID_BYTES),
        change="noted",
        incident=known.incident.id,
        entry=known.incident.entry,
        classes=[*sorted({*(of or ())})],
        told=told,
        told_ms=(moment(told_at, now=now) if told_at else now) if told else 0,
        question=int(question),
        answers=answers,
    )
    statement = _signed(claims, key)
    with shell.control() as control:
        _check_home(control, known)
        done = incident_calls.note_incident(control, known.incident.id, statement)
    duties = [one.name for one in known.duties]
    unmet = told and told not in duties
    meets = (
        f"; {shown(told)} is no duty of it ({', '.join(duties) or 'it has none'}): none is met"
        if unmet
        else ""
    )
    _told(shell, done, f"noted, as entry {done.entry}{meets}")


def close(shell: Shell, id: Id, text: NoteText, person: Person, key: KeyFile) -> None:
    """Close an incident, signed: what happens after it is not looked at any more. Notes may still follow."""
    from answerable.client import incident_calls
    from answerable.core.incident.incident_statement import incident_claims
    from answerable.errors import shown
    from answerable.errors.codes.incidents import INCIDENT_CLOSED

    known = incident_asked(shell, id)
    if known.incident.closed_at:
        raise INCIDENT_CLOSED(
            f"incident {shown(known.incident.id)} is closed already, since {known.incident.closed_at}"
        )
    claims = incident_claims(
        person,
        known.log,
        text,
        at=_now(),
        random=os.urandom(ID_BYTES),
        change="closed",
        incident=known.incident.id,
        entry=known.incident.entry,
    )
    statement = _signed(claims, key)
    with shell.control() as control:
        _check_home(control, known)
        done = incident_calls.close_incident(control, known.incident.id, statement)
    _told(shell, done, f"closed, as entry {done.entry}")


def pack(shell: Shell, id: Id, out: Out, reveal: Reveal = None, wait: Wait = 30) -> int | None:
    """Write a folder about an incident that others can verify without this server.

    It has the story, the evidence bundle, tables as CSV, OCSF events as JSON, and a checklist of whom to tell until
    when. The bundle shows what people said and signed, and of other entries the fields that you choose; all else is in
    the tables as your statement. Exit code 4 if witnesses have not cosigned the entries yet.
    """
    from answerable.api.evidence_answers import EvidenceRequest
    from answerable.apps.cli.evidence import witnessed
    from answerable.apps.cli.incident_pack import wanted_entries, wanted_fields, write_pack

    answer = incident_asked(shell, id)
    with shell.control() as control:
        key = _check_home(control, answer)
    asked = EvidenceRequest(
        entries=wanted_entries(answer), about={}, reveal=wanted_fields(answer, reveal or ()), replay=False
    )
    found = witnessed(shell, asked, seconds=wait)
    files = write_pack(out, answer, found, key)
    code = None if found.witnessed else PENDING
    if shell.terminal.as_json:
        shell.terminal.json({"folder": str(out), "files": files, "witnessed": found.witnessed})
        return code
    shell.terminal.record([("folder", out), ("files", files), ("entries", len(found.entries))])
    if code is not None:
        shell.terminal.warn("witnesses have not cosigned these entries yet: pack it again later")
    return code


def incident_asked(shell: Shell, id: str, copy: CopyAsked | None = None) -> IncidentAnswer:
    """Return an incident from the running server, or from files of this data directory or of a copy. Raises Malformed
    (`incident.unknown`, `incident.ambiguous`), and as `answered`."""
    from answerable.apps.cli.asked_index import CopyAsked, answered
    from answerable.client import incident_calls
    from answerable.ports.search_process import INCIDENT, IncidentQuestion

    return answered(
        shell,
        copy or CopyAsked(),
        lambda control: incident_calls.show_incident(control, id),
        lambda files: files.ask(INCIDENT, IncidentQuestion(name=id)),
    )


def _check_home(control: Transport, known: IncidentAnswer) -> str:
    """Check that an incident is in the log of this server, and return the key of that log. Raises Refused
    (`incident.shard`)."""
    from answerable.client import ledger_calls
    from answerable.errors import shown
    from answerable.errors.codes.incidents import INCIDENT_SHARD

    ledger = ledger_calls.show_ledger(control)
    if ledger.origin != known.log:
        raise INCIDENT_SHARD(
            f"incident {shown(known.incident.id)} is in log {shown(known.log)}, this server writes "
            f"{shown(ledger.origin)}: do this at the server of shard {shown(known.incident.shard)}"
        )
    return ledger.key


def _signed(claims: IncidentClaims, key: Path) -> IncidentStatement:
    from answerable.api.incident_answers import IncidentStatement
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.signing import signed_incident

    return IncidentStatement(token=signed_incident(claims, key=load_key(key)))


def _told(shell: Shell, done: IncidentRecorded, text: str) -> None:
    if shell.terminal.as_json:
        shell.terminal.json(done)
    else:
        shell.terminal.say(text)


def _now() -> int:
    return time.time_ns() // 1_000_000
