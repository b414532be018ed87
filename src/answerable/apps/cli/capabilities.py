"""Capabilities on the command line: list them and show one, with the capability that previews its effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from answerable.apps.cli.capability_proposals import propose
from answerable.apps.cli.command import Shell, command
from answerable.errors import shown
from answerable.errors.codes.registry import CAPABILITY_UNKNOWN

if TYPE_CHECKING:
    from answerable.apps.cli.control import Answer


def register(app: typer.Typer) -> None:
    """Add the noun `capability`."""
    group = typer.Typer(no_args_is_help=True, help="Capabilities: the kinds of actions that agents can do.")
    command(group, "list", reads=True)(list_capabilities)
    command(group, "show", reads=True)(show_capability)
    command(group, "propose", reads=True)(propose)
    app.add_typer(group, name="capability")


def list_capabilities(shell: Shell) -> int | None:
    """Registered capabilities, active or not, each with the one that shows beforehand what it would do."""
    with shell.control() as control:
        items = list(control.every("/v1/capabilities"))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("name", "state", "kind", "tier", "unhinted", "environment", "server", "target", "preview"),
        [
            (
                one["name"],
                standing(one),
                *(one[k] for k in ("kind", "tier")),
                "accepted" if one["unhinted_accepted"] else "",
                *(one[k] for k in ("environment", "server", "target")),
                one["preview"]["capability"] if one["preview"] else "",
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
    with shell.control() as control:
        found = next((one for one in control.every("/v1/capabilities") if one["name"] == name), None)
    if found is None:
        raise CAPABILITY_UNKNOWN(f"there is no capability {shown(name)}")
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return None
    owned = found["ownership"]
    shell.terminal.record(
        [
            ("name", found["name"]),
            ("state", standing(found)),
            ("why", found["reasons"]),
            ("title", found["title"]),
            *(
                (label, found[label])
                for label in ("server", "method", "target", "kind", "environment", "tier")
            ),
            ("unhinted", "accepted" if found["unhinted_accepted"] else ""),
            ("sensitivity", found["sensitivity"]),
            ("preview", _told_preview(found["preview"])),
            ("owner", owned["owner"]),
            ("backup owner", owned["backup_owner"]),
            ("approver group", owned["approver_group"]),
            ("review date", owned["review_date"]),
        ]
    )
    return None


def _told_preview(preview: dict[str, Any] | None) -> list[str]:
    """Return the previewing capability and, for each of its arguments, the place in the action's arguments."""
    if preview is None:
        return ["none: approvers see the arguments only"]
    if preview["arguments"] is None:
        return [f"{preview['capability']}, with the same arguments"]
    return [
        str(preview["capability"]),
        *(f"{name} from {where}" for name, where in preview["arguments"].items()),
    ]


def standing(item: Answer) -> str:
    """Return `active` or `inactive`, or for a stopped or revoked agent that state."""
    if item.get("standing") in ("stopped", "revoked"):
        return str(item["standing"])
    return "active" if item["active"] else "inactive"
