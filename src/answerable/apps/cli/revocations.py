"""Revoke a right to act, and list revocations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec import UNSET

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.ending import ending, ends_authority
from answerable.core.mandate.revocation import REVOCATION_KINDS, described, revocable
from answerable.errors.codes.services import CLI_NOT_CONFIRMED, CLI_REVOKE

if TYPE_CHECKING:
    from answerable.api.revocation_answers import DoneAtRevocation, FlightAtRevocation, Stopped

Kind = Annotated[
    str | None, typer.Argument(help=f"What to revoke: {', '.join(REVOCATION_KINDS)}.", metavar="KIND")
]
Name = Annotated[str | None, typer.Argument(help="Its name.", metavar="NAME")]
Reason = Annotated[str, typer.Option("--reason", help="Reason, for the record.", metavar="TEXT")]
Listed = Annotated[bool, typer.Option("--list", help="List revocations; revoke nothing.")]

_UNDOING: Final = {"not_reversible": "no", "reversible": "yes, by hand", "read": "not applicable (a read)"}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(app, "revoke", reads=True, asks=True)(revoke)


@ends_authority("the revocation may or may not be in force")
def revoke(
    shell: Shell, kind: Kind = None, name: Name = None, reason: Reason = "", listed: Listed = False
) -> int | None:
    """Revoke a right to act, at once and permanently.

    Prints what was stopped, what was in flight, and what could not be undone.
    """
    from answerable.api.revocation_answers import RevocationRequest
    from answerable.client import revocation_calls

    if listed:
        _list(shell)
        return None
    if kind is None or name is None:
        raise CLI_REVOKE()
    what = revocable(kind, name)
    if not shell.terminal.confirmed(f"Revoke {described(what)}, for good?", yes=shell.yes):
        raise CLI_NOT_CONFIRMED("not confirmed: nothing was revoked")
    request = RevocationRequest(kind=what.kind, name=what.name, reason=reason or UNSET)
    with ending(shell) as control:
        answer = revocation_calls.revoke(control, request)
    if shell.terminal.as_json:
        shell.terminal.json(answer)
        return None
    _tell(shell, answer)
    return None


def _list(shell: Shell) -> None:
    from answerable.client import revocation_calls

    with shell.control() as control:
        items = list(revocation_calls.list_revocations(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return
    shell.terminal.table(
        ("kind", "name", "at", "by", "reason"),
        [(one.kind, one.name, one.at, one.by, one.reason) for one in items],
        empty="nothing was revoked",
    )


def _tell(shell: Shell, answer: Stopped) -> None:
    revocation, stopped, terminal = answer.revocation, answer.stopped, shell.terminal
    what = f"{revocation.kind} {revocation.name}"
    if answer.new:
        terminal.say(f"{what} is revoked: no further action under it is started")
    else:
        terminal.say(f"{what} was already revoked, at {revocation.at} by {revocation.by}")
    rows = [("stopped", "mandate", one, "") for one in stopped.mandates]
    rows += [("stopped", "token", one, "") for one in stopped.tokens]
    rows += [("stopped", "approval", one, "denied") for one in stopped.approvals]
    rows += [("stopped", "instance", one, "ended") for one in stopped.instances]
    for name, count, listed in (
        ("mandates", stopped.mandates_count, stopped.mandates),
        ("tokens", stopped.tokens_count, stopped.tokens),
        ("instances", stopped.instances_count, stopped.instances),
    ):
        rest = count - len(listed)
        rows += [("stopped", name, f"{rest} more", "")] if rest > 0 else []
    logs = {one.log for one in answer.logs}
    rows += [
        (
            "in flight",
            one.capability,
            one.action,
            f"by {one.agent} since {one.since}, over by {one.due}{_where(one, logs)}",
        )
        for one in answer.in_flight
    ]
    rest = answer.in_flight_count - len(answer.in_flight)
    rows += [("in flight", "", f"{rest} more", "")] if rest > 0 else []
    rows += [
        (
            "done",
            one.capability,
            one.action,
            f"{one.status} at {one.at}; can be undone: {_UNDOING[one.undoing]}{_where(one, logs)}",
        )
        for one in answer.done
    ]
    terminal.table(("what", "of", "name", "more"), rows, empty="no action ran or waited under it")
    counted = answer.done_count
    terminal.say(
        f"could not be undone: {counted.not_reversible}; reversible, by hand: {counted.reversible}; "
        f"reads: {counted.read}"
    )
    for one in answer.logs:
        if not one.asked:
            terminal.say(
                f"{one.log or 'the other processes'} could not be queried: {one.why}. It starts nothing under it "
                "either; its actions in flight and done are not included"
            )
        elif one.looked_from:
            terminal.say(
                f"of {one.log} only entries {one.looked_from} to {one.entries - 1} were searched: earlier "
                "actions are not included"
            )


def _where(one: DoneAtRevocation | FlightAtRevocation, logs: set[str]) -> str:
    """Return the entry's log, if there are several logs."""
    return f"; entry {one.entry} of {one.log}" if len(logs) > 1 else ""
