"""`answerable stop` and the noun `hold`: stop actions, list and show holds, lift one."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer
from msgspec import UNSET, structs

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.control import NEEDS_NO_ANSWER, STRANGE
from answerable.apps.cli.ending import ending, ends_authority
from answerable.apps.cli.exit_codes import CHECK_FAILED, PENDING
from answerable.apps.cli.stop_report import ReportView
from answerable.core.containment.hold import HOLD_KINDS, Hold, HoldId, described, holdable
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.containment import LIFT_OTHER, STOP_NO_ANSWER
from answerable.errors.codes.services import CLI_NOT_CONFIRMED, CLI_STOP, CLI_TIME, CONTROL_ANSWER
from answerable.interruption import INTERRUPTED

if TYPE_CHECKING:
    from answerable.api import hold_answers as answers
    from answerable.apps.cli.control import Control
    from answerable.core.containment.hold import HoldKind
    from answerable.core.identity.names.principal import UnixMillis

Words = Annotated[
    list[str],
    typer.Argument(
        help="Name of an agent, instance, server, SERVER/TOOL, capability, mandate, owner, vendor …; or `everything`. "
        "Its kind may stand before it, also as `KIND:NAME`.",
        metavar="[KIND] NAME",
    ),
]
Kind = Annotated[
    str,
    typer.Option(
        "--kind",
        help=f"Kind of NAME, needed if several or none have that name: {', '.join(HOLD_KINDS)}.",
        show_default=False,
        metavar="KIND",
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Reason, for the record.", metavar="TEXT")]
For = Annotated[
    str,
    typer.Option(
        "--for",
        help="End after this time, such as 30m, 2h or 7d; default: when it is lifted.",
        show_default=False,
        metavar="TIME",
    ),
]
NoWait = Annotated[
    bool,
    typer.Option("--no-wait", help="Do not wait for actions in flight to end: print what is known now."),
]
Id = Annotated[str, typer.Argument(help="Id of the hold.", metavar="ID")]
Person = Annotated[str, typer.Option("--as", help="Your registered name.", metavar="PERSON")]
KeyFile = Annotated[Path, typer.Option("--key", help="Your key file.", metavar="FILE")]
LiftReason = Annotated[
    str, typer.Option("--reason", help="Reason for lifting, for the record.", metavar="TEXT")
]
Every = Annotated[bool, typer.Option("--all", help="Include lifted and expired holds.")]

POLL_SECONDS: Final = 0.25
STOP_SECONDS_MAX: Final = 10.0
"""Longest wait of a stop for any answer; past it, the message names another way to stop."""
UNKNOWN: Final = (
    f"the hold may or may not be in force: {NEEDS_NO_ANSWER}. Once the server answers, `answerable hold list` says "
    "what is held; a repeated stop places no second hold"
)
SETTLED_SECONDS: Final = 15.0
"""Time after its last deadline within which a running server settles an action in flight."""

_TIME: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def register(app: typer.Typer) -> None:
    """Add the verb `stop` and the noun `hold`."""
    # It asks nothing. Whoever adds --yes in a hurry is not told that there is no such option.
    command(app, "stop", reads=True, asks=True)(stop)
    group = typer.Typer(
        no_args_is_help=True, help="Holds: stopped agents, tools and tasks, until people lift the hold."
    )
    command(group, "list", reads=True)(list_holds)
    command(group, "show", reads=True)(show)
    command(group, "lift", reads=True, asks=True)(lift)
    app.add_typer(group, name="hold")


@ends_authority(UNKNOWN)
def stop(
    shell: Shell,
    words: Words,
    kind: Kind = "",
    reason: Reason = "",
    lasting: For = "",
    no_wait: NoWait = False,
) -> int | None:
    """Place a hold now: no further action in its reach is started.

    Needs no confirmation. Prints what was stopped, what was in flight and how it ended, and what is still live. Ctrl-C
    ends the output, not the hold; the exit code is then 130. `answerable stop everything` stops every action.
    """
    from answerable.api.hold_answers import StopRequest
    from answerable.apps.cli.control_socket import NoAnswerError
    from answerable.client import hold_calls
    from answerable.core.containment.hold import legible_reason

    kind, name = _named(words, kind)
    request = StopRequest(
        # `everything` has no name.
        name=UNSET if kind == "everything" else name,
        kind=cast("HoldKind", kind) if kind else UNSET,
        reason=legible_reason(reason) if reason else UNSET,
        seconds=seconds_in(lasting) if lasting else UNSET,
    )
    try:
        with ending(shell) as control:
            answer = hold_calls.stop(control, request, seconds_max=STOP_SECONDS_MAX)
            return _show_stop(shell, control, answer, waits=not no_wait)
    except KeyboardInterrupt:
        shell.terminal.fault(f"interrupted before the server answered: {UNKNOWN}")
        return INTERRUPTED
    except Unavailable as failed:
        lost = failed.__cause__
        if not isinstance(lost, NoAnswerError):
            raise
        how = f"within {STOP_SECONDS_MAX:g} s" if lost.is_late else f"({lost.failure})"
        raise STOP_NO_ANSWER(f"the server did not answer {how}: {UNKNOWN}") from None


def _named(words: list[str], kind: str) -> tuple[str, str]:
    """Return the kind, where one was given, and the name of what is to be stopped. Raises Malformed (`cli.stop`)."""
    *before, name = words
    if len(before) > 1 or (before and (kind or before[0] not in HOLD_KINDS)):
        kinds = ", ".join(HOLD_KINDS)
        raise CLI_STOP(f"give one NAME, or its KIND and NAME; nothing was stopped. Kinds are {kinds}")
    return (before[0] if before else kind), name


def _show_stop(shell: Shell, control: Control, answer: answers.Stop, *, waits: bool) -> int | None:
    """Show a stop that is in force and its effects. A failure to show them does not affect the stop."""
    terminal, hold = shell.terminal, answer.hold.id
    if not terminal.as_json:
        _say_placed(shell, answer)
    view, code = ReportView(terminal, answer.report), None
    try:
        _watch(control, hold, view, waits=waits)
    except KeyboardInterrupt:
        view.left(hold)
        code = INTERRUPTED
    except Unavailable as failed:
        view.lost(hold, failed.message)
    if terminal.as_json:
        terminal.json(structs.replace(answer, report=view.report))
        return _code_of(view, code)
    if view.report is not None:
        view.summary(view.report)
    terminal.say(f"to lift it: answerable hold lift {hold} --as PERSON --key FILE --reason TEXT")
    return _code_of(view, code)


def _code_of(view: ReportView, code: int | None) -> int | None:
    return CHECK_FAILED if view.report is not None and view.report.started_after_count else code


def list_holds(shell: Shell, every: Every = False) -> int | None:
    """What is held, newest first."""
    from answerable.client import hold_calls

    with shell.control() as control:
        items = list(hold_calls.list_holds(control, state=None if every else "in_force"))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("id", "state", "kind", "name", "since", "until", "by", "reason"),
        [
            (
                one.id,
                one.state,
                one.kind,
                one.name,
                one.at,
                one.expires_at or one.lifted_at or "it is lifted",
                one.by,
                one.reason,
            )
            for one in items
        ],
        empty="nothing was ever held" if every else "nothing is held",
    )
    return None


def show(shell: Shell, id: Id) -> int | None:
    """One hold, with the report of what it stopped and could not stop."""
    from answerable.client import hold_calls

    with shell.control() as control:
        hold = hold_calls.show_hold(control, id)
        report = hold_calls.show_containment(control, id)
    if shell.terminal.as_json:
        shell.terminal.json({"hold": hold, "report": report})
        return None
    _show(shell, hold)
    view = ReportView(shell.terminal, report)
    view.update(report)
    view.summary(report)
    return None


def lift(shell: Shell, id: Id, person: Person, key: KeyFile, reason: LiftReason) -> int | None:
    """Sign the lifting of a hold.

    The person who placed the hold cannot lift it; if it was placed by a user of this machine, two persons must
    sign. Exit code 4 while another person must sign. What was denied stays denied; ended instances must attest
    again.
    """
    from answerable.api.hold_answers import Lift
    from answerable.client import hold_calls
    from answerable.core.identity.names.principal import UnixMillis, principal_id
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.signing import signed_lift

    signing_key = load_key(key)
    by = principal_id(person)
    with shell.control() as control:
        shown = hold_calls.show_hold(control, id)
        # Sign the digest of what is displayed here, whatever digest the server reports.
        hold = hold_in(shown)
        if hold.digest != shown.digest:
            raise LIFT_OTHER("the server's digest does not match the hold that it sent: nothing was signed")
        if not shell.terminal.as_json:
            _show(shell, shown)
        if not shell.terminal.confirmed("Lift this hold?", yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
        token = signed_lift(
            hold,
            by=by,
            reason=reason,
            audience=shown.audience,
            at=UnixMillis(time.time_ns() // 1_000_000),
            key=signing_key,
        )
        others = sum(one.id != id for one in hold_calls.list_holds(control, state="in_force"))
        after = hold_calls.lift_hold(control, id, Lift(token=token))
    if shell.terminal.as_json:
        shell.terminal.json(after)
    elif after.lifted_at:
        # Which of them reach what this one reached, the server finds out for each action.
        told = f"the hold of {described(hold.what)}" if others else f"{described(hold.what)} may act again"
        shell.terminal.say(f"lifted: {told}; what was denied stays denied, and instances must attest again")
        if others:
            shell.terminal.warn(
                f"{others} other hold(s) are in force, and nothing in their reach acts: `answerable hold list`"
            )
    else:
        missing = after.persons_to_lift - len(after.agreed)
        shell.terminal.say(f"signed: {missing} more signature(s) needed to lift it, each with another key")
    return None if after.lifted_at else PENDING


def seconds_in(text: str) -> int:
    """Parse a duration such as 90s, 30m, 2h or 7d. Raises Malformed (`cli.time`)."""
    found = _TIME.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found is not None else 0
    if not seconds:
        raise CLI_TIME("expected a number with its unit, such as 90s, 30m, 2h or 7d")
    return seconds


def _watch(control: Control, hold: str, view: ReportView, *, waits: bool) -> None:
    """Follow the report until it is complete, or until nothing can complete it any more."""
    from answerable.client import hold_calls

    report = view.report or hold_calls.show_containment(control, hold, seconds_max=STOP_SECONDS_MAX)
    view.update(report)
    while waits and not report.complete and time.time() < _patience(report):
        time.sleep(POLL_SECONDS)
        report = hold_calls.show_containment(control, hold, seconds_max=STOP_SECONDS_MAX)
        view.update(report)


def _patience(report: answers.ContainmentReport) -> float:
    due = report.due
    return datetime.fromisoformat(due).timestamp() + SETTLED_SECONDS if due else 0.0


def _say_placed(shell: Shell, answer: answers.Stop) -> None:
    hold, terminal = answer.hold, shell.terminal
    try:
        what = described(holdable(hold.kind, hold.name))
    except Malformed as odd:
        raise CONTROL_ANSWER(f"the server's answer is no hold ({odd.message}): {STRANGE}") from None
    until = f" until {hold.expires_at}" if hold.expires_at else ""
    if answer.new:
        terminal.say(f"{what} is held since {hold.at}{until}: no further action in its reach is started")
    else:
        terminal.say(f"{what} is already held, since {hold.at}{until}")
    if not answer.recorded:
        terminal.warn("the ledger cannot be written now: the hold is in force and will be recorded later")


def _show(shell: Shell, hold: answers.Hold) -> None:
    shell.terminal.record(
        [
            ("hold", hold.id),
            ("state", hold.state),
            ("on", described(holdable(hold.kind, hold.name))),
            ("since", hold.at),
            ("until", hold.expires_at or hold.lifted_at or "it is lifted"),
            ("by", hold.by),
            ("reason", hold.reason),
            ("source", f"{hold.source} {hold.rule}".strip()),
            ("to lift", f"{hold.persons_to_lift} person(s) other than the one who placed it"),
            ("agreed", [f"{one.by} at {one.at}: {one.reason}" for one in hold.agreed]),
            ("digest", hold.digest),
        ]
    )


def hold_in(answer: answers.Hold) -> Hold:
    """Build the hold from the control API's answer, so that its digest covers what is displayed."""
    return Hold(
        id=HoldId(answer.id),
        what=holdable(answer.kind, answer.name),
        at=_millis(answer.at),
        by=answer.by,
        reason=answer.reason,
        expires_at=_millis(answer.expires_at) if answer.expires_at else 0,
        source=answer.source,
        rule=answer.rule,
    )


def _millis(text: str) -> UnixMillis:
    return cast("UnixMillis", round(datetime.fromisoformat(text).timestamp() * 1000))
