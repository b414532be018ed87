"""The noun `agent`, with the noun `manifest` below it."""

from __future__ import annotations

import typer

from answerable.apps.cli import agent_manifest, agents


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = typer.Typer(no_args_is_help=True, help="Agents: autonomous processes with a responsible owner.")
    agents.register(group)
    agent_manifest.register(group)
    app.add_typer(group, name="agent")
