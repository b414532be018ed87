"""Drills on the command line: check that a stop stops, a revocation revokes and an effect is traced to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer
from msgspec import UNSET

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED
from answerable.core.containment.drill import DRILLED_KINDS

if TYPE_CHECKING:
    from answerable.api.drill_answers import Drill
    from answerable.core.containment.drill import DrilledKind, DrillKind

Name = Annotated[str, typer.Argument(help="Name of an agent or of a capability.", metavar="NAME")]
Kind = Annotated[
    str,
    typer.Option(
        "--kind",
        help=f"What it is: {' or '.join(DRILLED_KINDS)}. Only needed where both have that name.",
        metavar="KIND",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the noun `drill`."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Drills: test containment with a shadow agent that has no effects.",
    )
    command(group, "stop", reads=True)(stop)
    command(group, "revocation", reads=True)(revocation)
    command(group, "trace", reads=True)(trace)
    command(group, "list", reads=True)(list_drills)
    app.add_typer(group, name="drill")


def stop(shell: Shell, name: Name, kind: Kind = "") -> int | None:
    """Stop a shadow agent while it acts, and check that it does nothing more.

    Nothing of the agent itself is stopped. Exit code 5 when the drill did not pass.
    """
    return _run(shell, "stop", name, kind)


def revocation(shell: Shell, name: Name, kind: Kind = "") -> int | None:
    """Revoke a shadow agent while it acts, and check that it does nothing more.

    Nothing of the agent itself is revoked. Exit code 5 when the drill did not pass.
    """
    return _run(shell, "revocation", name, kind)


def trace(shell: Shell, name: Name, kind: Kind = "") -> int | None:
    """Trace a shadow agent's actions to the person who gave the task and to the approver.

    Exit code 5 when the drill did not pass.
    """
    return _run(shell, "trace", name, kind)


def list_drills(shell: Shell) -> int | None:
    """Results of drills, newest first."""
    from answerable.client import drill_calls

    with shell.control() as control:
        items = list(drill_calls.list_drills(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("at", "drill", "of", "name", "result", "by"),
        [
            (
                one.at,
                one.drill,
                one.kind,
                one.name,
                "passed" if one.passed else "FAILED",
                one.by,
            )
            for one in items
        ],
        empty="no drill was run: begin with `answerable drill stop AGENT`",
    )
    return None


def _run(shell: Shell, drill: DrillKind, name: str, kind: str) -> int | None:
    from answerable.api.drill_answers import DrillRequest
    from answerable.client import drill_calls

    request = DrillRequest(drill=drill, name=name, kind=cast("DrilledKind", kind) if kind else UNSET)
    with shell.control() as control:
        answer = drill_calls.run_drill(control, request)
    failed = None if answer.passed else CHECK_FAILED
    if shell.terminal.as_json:
        shell.terminal.json(answer)
        return failed
    _tell(shell, answer)
    return failed


def _tell(shell: Shell, answer: Drill) -> None:
    terminal = shell.terminal
    came = "passed" if answer.passed else "FAILED"
    terminal.say(f"{answer.drill} drill of {answer.kind} {answer.name}: {came}")
    terminal.record(
        [
            ("shadow", answer.shadow),
            ("actions", str(answer.actions)),
            *((one.what.replace("_", " "), f"after {one.ms} ms") for one in answer.took),
        ]
    )
    for fault in answer.faults:
        terminal.warn(fault)
