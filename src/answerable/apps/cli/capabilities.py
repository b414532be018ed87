"""Capabilities on the command line: list them and show one, with the capability that previews its effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from answerable.apps.cli.capability_proposals import propose
from answerable.apps.cli.command import Shell, command
from answerable.errors import shown
from answerable.errors.codes.registry import CAPABILITY_UNKNOWN

if TYPE_CHECKING:
    from answerable.api.registry_answers import Agent, Capability, PreviewRow, Registered, Server, Template


def register(app: typer.Typer) -> None:
    """Add the noun `capability`."""
    group = typer.Typer(no_args_is_help=True, help="Capabilities: the kinds of actions that agents can do.")
    command(group, "list", reads=True)(list_capabilities)
    command(group, "show", reads=True)(show_capability)
    command(group, "propose", reads=True)(propose)
    app.add_typer(group, name="capability")


def list_capabilities(shell: Shell) -> int | None:
    """Registered capabilities, active or not, each with the one that shows beforehand what it would do."""
    from answerable.client import registry_calls

    with shell.control() as control:
        items = list(registry_calls.list_capabilities(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("name", "state", "kind", "tier", "unhinted", "environment", "server", "target", "preview"),
        [
            (
                one.name,
                standing(one),
                one.kind,
                one.tier,
                "accepted" if one.unhinted_accepted else "",
                one.environment,
                one.server,
                one.target,
                one.preview.capability if one.preview else "",
            )
            for one in items
        ],
        empty="no capability is registered",
    )
    return None


def show_capability(
    shell: Shell, name: Annotated[str, typer.Argument(help="Name of the capability.", metavar="NAME")]
) -> int | None:
    """One capability: what it is said to do, who answers for it, and what shows its effect beforehand."""
    from answerable.client import registry_calls

    with shell.control() as control:
        found = next((one for one in registry_calls.list_capabilities(control) if one.name == name), None)
    if found is None:
        raise CAPABILITY_UNKNOWN(f"there is no capability {shown(name)}")
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return None
    owned = found.ownership
    shell.terminal.record(
        [
            ("name", found.name),
            ("state", standing(found)),
            ("why", found.reasons),
            ("title", found.title),
            ("server", found.server),
            ("method", found.method),
            ("target", found.target),
            ("kind", found.kind),
            ("environment", found.environment),
            ("tier", found.tier),
            ("unhinted", "accepted" if found.unhinted_accepted else ""),
            ("sensitivity", found.sensitivity),
            ("preview", _told_preview(found.preview)),
            ("owner", owned.owner),
            ("backup owner", owned.backup_owner),
            ("approver group", owned.approver_group),
            ("review date", owned.review_date),
        ]
    )
    return None


def _told_preview(preview: PreviewRow | None) -> list[str]:
    """Return the previewing capability and, for each of its arguments, the place in the action's arguments."""
    if preview is None:
        return ["none: approvers see the arguments only"]
    if preview.arguments is None:
        return [f"{preview.capability}, with the same arguments"]
    return [
        str(preview.capability),
        *(f"{name} from {where}" for name, where in preview.arguments.items()),
    ]


def standing(item: Agent | Capability | Registered | Server | Template) -> str:
    """Return `active` or `inactive`, or for a stopped or revoked agent that state."""
    from answerable.api.registry_answers import Agent

    if isinstance(item, Agent) and item.standing in ("stopped", "revoked"):
        return item.standing
    return "active" if item.active else "inactive"
