"""On-call duty: who is on call, gaps in coverage, delegations of duty, and the state of the approval queue."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.ending import ends_authority
from answerable.apps.cli.exit_codes import CHECK_FAILED
from answerable.apps.cli.holds import seconds_in
from answerable.errors import shown
from answerable.errors.codes.services import CLI_NOT_CONFIRMED, CLI_TIME

if TYPE_CHECKING:
    from answerable.api.duty_answers import Duty, DutyDelegation, EscalationStep
    from answerable.core.identity.names.principal import UnixMillis

Group = Annotated[str, typer.Argument(help="Name of the group.", metavar="GROUP")]
AnyGroup = Annotated[str, typer.Argument(help="Only this group.", metavar="GROUP", show_default=False)]
At = Annotated[
    str,
    typer.Option(
        "--at", help="At this time, such as 2026-12-24T18:00+01:00; default: now.", show_default=False
    ),
]
Days = Annotated[int, typer.Option("--days", help="How many days ahead.", min=1, max=92)]
DaysBack = Annotated[int, typer.Option("--days", help="How many days back.", min=1, max=90)]
To = Annotated[str, typer.Option("--to", help="The person who stands in for you.", metavar="PERSON")]
Until = Annotated[
    str,
    typer.Option(
        "--until",
        help="When it ends: a time such as 2026-12-27T08:00+01:00, or a duration such as 3d or 12h.",
        metavar="TIME",
    ),
]
From = Annotated[
    str,
    typer.Option("--from", help="When it begins; default: now.", show_default=False, metavar="TIME"),
]
Reason = Annotated[str, typer.Option("--reason", help="Reason, for the record.", metavar="TEXT")]
Person = Annotated[str, typer.Option("--as", help="Your registered name.", metavar="PERSON")]
KeyFile = Annotated[Path, typer.Option("--key", help="Your key file.", metavar="FILE")]
Id = Annotated[str, typer.Argument(help="Id of the delegation, as `duty list` shows it.", metavar="ID")]
Approval = Annotated[str, typer.Argument(help="Id of the approval.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the noun `duty`."""
    group = typer.Typer(
        no_args_is_help=True, help="Duty: who is on call for approvals, and who stands in for whom."
    )
    command(group, "show", reads=True, example="duty show finance --at 2026-12-24T18:00+01:00")(show)
    command(group, "gaps", reads=True, example="duty gaps --days 7")(gaps)
    command(group, "route", reads=True)(route)
    command(group, "health", reads=True)(health)
    command(group, "list", reads=True)(list_delegations)
    hands_on = "finance --to ada --until 3d --reason 'on leave' --as chen --key chen.jwk"
    command(group, "delegate", reads=True, asks=True, example=f"duty delegate {hands_on}")(delegate)
    command(group, "end", reads=True, asks=True)(end)
    app.add_typer(group, name="duty")


def show(shell: Shell, group: AnyGroup = "", at: At = "") -> int | None:
    """Who is on call, now or at another time."""
    from answerable.client import duty_calls

    with shell.control() as control:
        items = list(duty_calls.list_duties(control, at=at or None, group=group or None))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("group", "on call", "second", "quiet until", "time zone", "then"),
        [
            (
                one.group,
                ", ".join(one.first) or "nobody: the whole group is notified",
                ", ".join(one.second) or "nobody",
                one.quiet_until or "not now",
                one.time_zone,
                "; ".join(_step(step) for step in one.steps) or "nobody else",
            )
            for one in items
        ],
        empty="no group has a duty: everybody who may answer is notified at once",
    )
    return None


def gaps(shell: Shell, days: Days = 28) -> int | None:
    """Future times at which nobody of a group is on call. Exit code 5 if there is one."""
    from answerable.client import duty_calls

    with shell.control() as control:
        items = list(duty_calls.list_duty_gaps(control, days=str(days)))
        duties = [] if items else list(duty_calls.list_duties(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
    else:
        for one in items:
            shell.terminal.line(f"group {one.group} has nobody on call {one.text}")
        if not items:
            shell.terminal.say(_without_gaps(duties, days))
    return CHECK_FAILED if items else None


def _without_gaps(duties: list[Duty], days: int) -> str:
    """Explain an empty list of gaps: without any duty, no gaps are searched for."""
    if not duties:
        return (
            "no group has a duty: everybody who may answer is notified at once. Describe one in a document of kind "
            "Duty, see docs/how-to/put-people-on-call.md"
        )
    return f"somebody of each group with a duty is on call for the next {days} days"


def route(shell: Shell, approval: Approval) -> int | None:
    """Whose turn it is to answer, who was notified, and when the next people are."""
    from answerable.client import duty_calls

    with shell.control() as control:
        answer = duty_calls.show_route(control, approval)
    if shell.terminal.as_json:
        shell.terminal.json(answer)
        return None
    shell.terminal.record(
        [
            ("approval", answer.approval),
            ("whose turn", list(answer.turn) or ["nobody's"]),
            ("told", [f"step {one.step} of {one.group}" for one in answer.told] or ["nobody"]),
            ("first seen", answer.first_view_at or "not yet"),
            ("passed on", answer.next_at or "no further"),
        ]
    )
    return None


def health(shell: Shell, days: DaysBack = 7) -> int | None:
    """How long questions wait to be seen, which never were, and how many wait for whom."""
    from answerable.client import duty_calls

    with shell.control() as control:
        answer = duty_calls.show_queue_health(control, days=str(days))
    if shell.terminal.as_json:
        shell.terminal.json(answer)
        return None
    shell.terminal.record(
        [
            ("asked", f"{answer.asked} since {answer.since}"),
            (
                "seen",
                f"{answer.seen}, p50 {_took(answer.view_p50_ms)}, p95 {_took(answer.view_p95_ms)}",
            ),
            ("expired", f"{answer.expired}, {answer.expired_unseen} of them never opened"),
            ("waiting", answer.waiting),
            ("backlog", [f"{one.person}: {one.waiting}" for one in answer.backlog] or ["none"]),
        ]
    )
    return None


def list_delegations(shell: Shell) -> int | None:
    """Who stands in for whom, now or later."""
    from answerable.client import duty_calls

    with shell.control() as control:
        items = list(duty_calls.list_duty_delegations(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("id", "group", "for", "stands in", "from", "until", "counts", "reason"),
        [
            (
                one.id,
                one.group,
                one.of,
                one.to,
                one.from_,
                one.until,
                "yes" if one.counts else "not now",
                one.reason,
            )
            for one in items
        ],
        empty="there is no delegation of duty",
    )
    return None


def delegate(
    shell: Shell,
    group: Group,
    to: To,
    until: Until,
    reason: Reason,
    person: Person,
    key: KeyFile,
    begins: From = "",
) -> int | None:
    """Let a person stand in for you in a group, signed with your key.

    Their answers count as yours in that group, and an approval counts both of you as one person.
    """
    from answerable.api.members import Token
    from answerable.client import duty_calls, ledger_calls
    from answerable.core.approval.deputy_statement import DutyTerms, with_id
    from answerable.core.identity.names.principal import UnixMillis, principal_id
    from answerable.core.statement import AHEAD_MILLIS_MAX
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.signing import signed_duty

    signing_key = load_key(key)
    now = UnixMillis(time.time_ns() // 1_000_000)
    # Backdated by the allowed skew, so that it is in force at once even if this clock is a little ahead of the
    # server's.
    since = moment_in(begins) if begins else UnixMillis(now - AHEAD_MILLIS_MAX)
    ends = _ends(until, since if begins else now)
    with shell.control() as control:
        audience = ledger_calls.show_status(control).origin
        terms = DutyTerms(
            of=principal_id(person),
            audience=audience,
            id="",
            group=group,
            to=principal_id(to),
            since=since,
            until=ends,
            reason=reason,
            at=now,
        )
        question = f"Let {to} answer for you in group {group} until {_said(ends)}?"
        if not shell.terminal.confirmed(question, yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
        answer = duty_calls.delegate_duty(control, Token(token=signed_duty(with_id(terms), key=signing_key)))
    _told(shell, answer, f"{to} stands in for {person} in group {group} until {answer.until}")
    return None


@ends_authority("the delegation of duty may still count")
def end(shell: Shell, id: Id) -> int | None:
    """End a delegation of duty early: approvals given under it that have not run yet no longer count."""
    from answerable.client import duty_calls

    with shell.control() as control:
        if not shell.terminal.confirmed(f"End delegation of duty {id}?", yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was ended")
        answer = duty_calls.end_duty_delegation(control, id)
    _told(shell, answer, f"ended: {answer.to} no longer stands in for {answer.of}")
    return None


def moment_in(text: str) -> UnixMillis:
    """Return a time that has a UTC offset as Unix milliseconds. Raises Malformed (`cli.time`)."""
    from answerable.core.identity.names.principal import UnixMillis

    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise CLI_TIME(f"{shown(text)} is not a time with a UTC offset such as 2026-12-27T08:00+01:00")
    return UnixMillis(round(when.timestamp() * 1000))


def _ends(text: str, since: UnixMillis) -> UnixMillis:
    from answerable.core.identity.names.principal import UnixMillis

    if text[-1:] in ("s", "m", "h", "d"):
        return UnixMillis(since + seconds_in(text) * 1000)
    return moment_in(text)


def _said(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000).astimezone().isoformat(timespec="minutes")


def _took(millis: int | None) -> str:
    return "none" if millis is None else f"{millis / 1000:.1f} s"


def _step(step: EscalationStep) -> str:
    return f"after {step.after_seconds} s {step.when}: {step.asks}"


def _told(shell: Shell, answer: DutyDelegation, sentence: str) -> None:
    if shell.terminal.as_json:
        shell.terminal.json(answer)
    else:
        shell.terminal.say(sentence)
