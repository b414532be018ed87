"""`answerable stop-rule simulate`: which holds a stop rule would have placed in the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.policy_simulation import Since, millis_back, period

if TYPE_CHECKING:
    from answerable.api.rule_answers import RuleSimulation

Name = Annotated[str, typer.Argument(help="Registered name of the rule, dry or not.", metavar="NAME")]


def register(app: typer.Typer) -> None:
    """Add the noun `stop-rule`."""
    group = typer.Typer(no_args_is_help=True, help="Stop rules: limits, and what is held when one is passed.")
    command(group, "simulate", reads=True)(simulate)
    app.add_typer(group, name="stop-rule")


def simulate(shell: Shell, name: Name, since: Since = "7d") -> int | None:
    """Print what a stop rule would have held, from the ledger.

    Prints for each hold the entry that would have caused it, the measured number, and how many actions it would have
    stopped.
    """
    from answerable.client import rule_calls

    with shell.control() as control:
        found = rule_calls.simulate_rule(control, name, since=str(millis_back(since)))
    if shell.terminal.as_json:
        shell.terminal.json(found)
    else:
        _show(shell, found, since)
    return None


def _show(shell: Shell, found: RuleSimulation, since: str) -> None:
    rows = [
        (one.index, one.at, f"{one.kind} {one.name}", one.owner, one.value, one.stopped)
        for one in found.firings
    ]
    if rows:
        shell.terminal.table(("entry", "at", "would hold", "by", "value", "stopped"), rows, empty="")
    count = len(rows) + found.unlisted
    stopped = sum(one.stopped for one in found.firings)
    told = f"{count} holds {period(since)}, which would have stopped {stopped} actions that were done"
    if found.unknown:
        shell.terminal.warn(
            f"{found.unknown} times its tracker's number could not be told, as what was erased cannot be read: the "
            "walk would have refused"
        )
    if found.others:
        shell.terminal.warn(
            f"of this shard alone: ask {', '.join(found.others)} too, each with its own settings file"
        )
    if found.partial:
        shell.terminal.warn(f"read to entry {found.end} of {found.size}, so this is incomplete: {told}")
    else:
        shell.terminal.say(told)
