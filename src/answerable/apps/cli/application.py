"""Assemble the command line from its nouns and verbs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable import __version__
from answerable.apps.cli import (
    agent_manifest,
    agents,
    approvals,
    channels,
    checks,
    credentials,
    decisions,
    drills,
    duties,
    evidence,
    holds,
    keys,
    leases,
    ledger,
    mandates,
    panic,
    people,
    policy,
    registry,
    revocations,
    secrets,
    stats,
    stop_rules,
    streams,
    tools,
    trust,
)
from answerable.apps.cli.command import RootOptions
from answerable.apps.cli.exit_codes import EXIT_CODES

if TYPE_CHECKING:
    from answerable.apps.cli.control import Offline

_EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."


def command_line(offline: Offline) -> typer.Typer:
    """Return the command line with every command that opens no listener of its own.

    offline: opens the control application on a data directory, for when no server runs.
    """
    app = typer.Typer(
        name="answerable",
        help="Every effect an autonomous agent causes, traced to a principal, a task, a decision and a person.",
        epilog=_EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Boxes and colour on a terminal, plain lines in a pipe.
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def root_options(
        ctx: typer.Context,
        data: Annotated[
            Path | None,
            typer.Option(
                "--data", help="Data directory; default: ANSWERABLE_DATA, else ./.answerable.", metavar="DIR"
            ),
        ] = None,
        config: Annotated[
            Path | None,
            typer.Option(
                "--config",
                help="Settings file; default: answerable.toml in the data directory.",
                metavar="FILE",
            ),
        ] = None,
        quiet: Annotated[
            bool, typer.Option("--quiet", "-q", help="Print no messages except errors.")
        ] = False,
        plain: Annotated[
            bool, typer.Option("--no-color", help="Print without colour, as with NO_COLOR.")
        ] = False,
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
        ] = False,
    ) -> None:
        ctx.obj = RootOptions(offline=offline, data=data, config=config, quiet=quiet, plain=plain)

    app.callback()(root_options)
    registry.register(app)
    tools.register(app)
    agent = typer.Typer(no_args_is_help=True, help="Agents: autonomous processes with a responsible owner.")
    agents.register(agent)
    agent_manifest.register(agent)
    app.add_typer(agent, name="agent")
    trust.register(app)
    people.register(app)
    mandates.register(app)
    holds.register(app)
    panic.register(app)
    drills.register(app)
    leases.register(app)
    revocations.register(app)
    streams.register(app)
    stop_rules.register(app)
    approvals.register(app)
    duties.register(app)
    channels.register(app)
    ledger.register(app)
    stats.register(app)
    evidence.register(app)
    policy.register(app)
    decisions.register(app)
    keys.register(app)
    secrets.register(app)
    credentials.register(app)
    checks.register(app)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit
