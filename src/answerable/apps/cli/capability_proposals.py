"""Propose capability documents, as YAML for people to correct, from the tools that a server lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from answerable.apps.cli.command import Shell
from answerable.apps.cli.terminal import safe
from answerable.errors import shown
from answerable.errors.codes.registry import TOOL_UNSEEN

if TYPE_CHECKING:
    from answerable.apps.cli.control import Control
    from answerable.core.registry.parsing.capability_proposal import Proposal


def propose(
    shell: Shell,
    server: Annotated[str, typer.Argument(help="Registered name of the server.", metavar="SERVER")],
    tool: Annotated[
        str,
        typer.Argument(
            help="The tool; default: every tool without a capability.",
            show_default=False,
            metavar="[TOOL]",
        ),
    ] = "",
) -> int | None:
    """Write capabilities for a running server's tools, as YAML.

    Kind, tier and mappings are guessed for the worse and marked; read them, say who answers, then `answerable apply`.
    """
    with shell.control() as control:
        found = _proposals(control, server, tool)
    if shell.terminal.as_json:
        shell.terminal.json([{"document": one.document, "notes": list(one.notes)} for one in found])
        return None
    for one in found:
        for line in _lines(one):
            shell.terminal.line(line)
    if not found:
        shell.terminal.say(f"every tool that {server} offers has a capability")
    return None


def _proposals(control: Control, server: str, tool: str) -> list[Proposal]:
    from answerable.client import registry_calls, tool_calls
    from answerable.core.canonical import parse
    from answerable.core.registry.parsing.capability_proposal import proposed

    listed = list(tool_calls.list_tools(control, server))
    names = [tool] if tool else [one.name for one in listed if one.standing == "unregistered"]
    taken = {str(one.name) for one in registry_calls.list_capabilities(control)}
    found: list[Proposal] = []
    for name in names:
        text = tool_calls.show_tool(control, server, tool=name).text
        said = parse(text.encode()) if text is not None else None
        if not isinstance(said, dict):
            raise TOOL_UNSEEN(
                f"server {shown(server)} does not offer tool {shown(name)} now: see `answerable server list`"
            )
        one = proposed(server, said, taken=taken)
        metadata = one.document["metadata"]
        taken.add(str(metadata["name"]) if isinstance(metadata, dict) else "")
        found.append(one)
    return found


def _lines(proposal: Proposal) -> list[str]:
    import yaml

    # The emitter escapes non-printable characters, so the text is safe to display and can be applied.
    text = yaml.safe_dump(proposal.document, sort_keys=False, width=120)
    ownership = ("  # ownership: {owner: , backupOwner: , approverGroup: , auditLevel: , reviewDate: }",)
    return ["---", *(f"# review: {safe(note)}" for note in proposal.notes), *text.splitlines(), *ownership]
