"""Tools of upstream servers: list their states, show what changed, approve a definition. The owner's key never leaves
this process."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED
from answerable.errors import shown
from answerable.errors.codes.mandate import PRINCIPAL_UNKNOWN
from answerable.errors.codes.registry import TOOL_OTHER_DEFINITION, TOOL_UNSEEN
from answerable.errors.codes.services import CLI_MISSING, CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from answerable.api.tool_answers import Tool, ToolPin, ToolShown
    from answerable.apps.cli.control import Control
    from answerable.core.identity.keys.keys import SigningKey

ServerName = Annotated[str, typer.Argument(help="Registered name of the server.", metavar="SERVER")]
ToolName = Annotated[str, typer.Argument(help="The tool, as its server names it.", metavar="TOOL")]

WAITING: Final = ("new", "changed")


def register(app: typer.Typer) -> None:
    """Add the noun `tool`."""
    tool = typer.Typer(
        no_args_is_help=True, help="Tools of upstream servers, and which definitions are approved."
    )
    command(tool, "list", reads=True)(list_tools)
    command(tool, "diff", reads=True)(show_diff)
    command(tool, "approve", reads=True, asks=True)(approve)
    app.add_typer(tool, name="tool")


def list_tools(
    shell: Shell,
    server: Annotated[
        str, typer.Argument(help="Only of this server.", show_default=False, metavar="[SERVER]")
    ] = "",
) -> int | None:
    """Tools, and whether their definitions are approved.

    Exit code 5 when one that is registered waits for its owner.
    """
    from answerable.client import registry_calls

    with shell.control() as control:
        names = (
            [server] if server else [one.name for one in registry_calls.list_servers(control) if one.active]
        )
        items = [one for name in names for one in _tools(control, name)]
    failed = CHECK_FAILED if any(one.blocked for one in items) else None
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return failed
    shell.terminal.table(
        ("server", "tool", "state", "by", "capability", "tier", "unhinted", "definition", "blocked"),
        [
            (
                one.server,
                one.name,
                one.standing,
                one.source,
                one.capability,
                "" if one.tier is None else one.tier,
                "accepted" if one.unhinted_accepted else "",
                one.offered[:12],
                one.blocked,
            )
            for one in items
        ],
        empty="no tool is known: check that a server is registered and up (`answerable server list`)",
    )
    return failed


def show_diff(shell: Shell, server: ServerName, tool: ToolName) -> int | None:
    """Compare the tool's current definition with the approved one.

    First in words, what matters most on top; then line by line. Exit code 5 when there is a difference.
    """
    with shell.control() as control:
        found = _found(control, server, tool)
    failed = CHECK_FAILED if _differs(found) else None
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return failed
    _show(shell, found)
    return failed


def approve(
    shell: Shell,
    server: ServerName,
    tool: Annotated[
        str,
        typer.Argument(
            help="The tool; default: every tool of the server that waits for approval.",
            show_default=False,
            metavar="[TOOL]",
        ),
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Key file of the tool's owner.", show_default=False, metavar="FILE"),
    ] = None,
    person: Annotated[
        str,
        typer.Option(
            "--as",
            help="Registered name of the owner; default: the person who registered this key.",
            show_default=False,
            metavar="PERSON",
        ),
    ] = "",
    definition: Annotated[
        str,
        typer.Option(
            "--definition",
            help="Digest of the definition that you reviewed; no other is signed.",
            show_default=False,
            metavar="HEX",
        ),
    ] = "",
) -> int | None:
    """Approve a new or changed tool definition, as its owner or backup owner.

    Prints the difference, asks for confirmation, signs it and submits the signature. The key stays here.
    """
    from answerable.api.members import Token
    from answerable.client import tool_calls
    from answerable.core.identity.names.principal import principal_id
    from answerable.sdk.keyfile import load_key

    if key is None:
        raise CLI_MISSING("give the key of the tool's owner: --key FILE")
    signing_key = load_key(key)
    with shell.control() as control:
        owner = principal_id(person or _owner_of(control, signing_key.public.thumbprint))
        names = [tool] if tool else [one.name for one in _tools(control, server) if one.standing in WAITING]
        done: list[ToolPin] = []
        for name in names:
            found = _found(control, server, name)
            if definition and found.tool.offered != definition.removeprefix("sha256:"):
                raise TOOL_OTHER_DEFINITION(
                    f"tool {shown(name)} has definition {found.tool.offered or 'none'} now, "
                    f"expected {shown(definition)}"
                )
            if found.text is not None and not _differs(found):
                shell.terminal.say(f"{name}: this definition is already approved")
                continue
            if not shell.terminal.as_json:
                _show(shell, found)
            if not shell.terminal.confirmed(f"Approve tool {name} of {server}, as {owner}?", yes=shell.yes):
                raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
            token = _signed(found, owner=owner, key=signing_key)
            done.append(tool_calls.approve_tool(control, Token(token=token)))
            shell.terminal.say(f"tool {name} of {server} is approved as {done[-1].definition[:12]}")
    if shell.terminal.as_json:
        shell.terminal.json(done)
    elif not names:
        shell.terminal.say(f"no tool of {server} waits for approval")
    return None


def _signed(found: ToolShown, *, owner: Any, key: SigningKey) -> str:
    """Sign the digest of the displayed text, computed here and not taken from the server."""
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.registry.tools.tool_approval import signed_approval

    if found.text is None:
        raise TOOL_UNSEEN("the server does not offer this tool now: nothing to approve")
    return signed_approval(
        found.tool.server,
        found.tool.name,
        definition=sha256(found.text.encode()).hexdigest(),
        previous=sha256(found.pin.text.encode()).hexdigest() if found.pin else "",
        owner=owner,
        key=key,
        at=UnixMillis(time.time_ns() // 1_000_000),
    )


def _show(shell: Shell, found: ToolShown) -> None:
    """Show the difference computed from the two texts here, because these texts are what is signed."""
    from answerable.core.canonical import parse
    from answerable.core.registry.tools.tool_change import tool_changes, tool_lines

    terminal, told = shell.terminal, found.tool
    terminal.heading(f"tool {told.name} of server {told.server}")
    if found.text is None:
        terminal.warn("the server does not offer it now")
        return
    for one in found.weight:
        terminal.line(f"{'!' if one.grave else '*'} {one.text}", "yellow" if one.grave else "")
    if not _differs(found):
        terminal.line("no difference from the approved definition")
        return
    if told.source == "document" and found.pin is None:
        terminal.warn(
            f"capability {told.capability} pins definition {told.pinned[:12]}, whose text is not stored here: "
            "below is the whole definition as offered now"
        )
    old = parse(found.pin.text.encode()) if found.pin else None
    new = parse(found.text.encode())
    near = [(str(server), str(name)) for server, name in found.neighbours]
    accepted = bool(told.unhinted_accepted)
    for change in tool_changes(old, new, server=told.server, neighbours=near, unhinted_accepted=accepted):
        terminal.line(f"{'!' if change.grave else '*'} {change.text}", "yellow" if change.grave else "")
    styles = {"+": "green", "-": "red"}
    for line in tool_lines(old, new):
        terminal.line(f"  {line}", styles.get(line[:1], "dim"))


def _differs(found: ToolShown) -> bool:
    return found.text is not None and found.tool.offered != found.tool.pinned


def _found(control: Control, server: str, tool: str) -> ToolShown:
    from answerable.client import tool_calls

    return tool_calls.show_tool(control, server, tool=tool)


def _tools(control: Control, server: str) -> list[Tool]:
    from answerable.client import tool_calls

    return list(tool_calls.list_tools(control, server))


def _owner_of(control: Control, thumbprint: str) -> str:
    from answerable.client import registry_calls
    from answerable.core.identity.keys.keys import public_key

    for one in registry_calls.list_documents(control, kind="Principal"):
        keys = one.document["spec"].get("keys", [])
        if any(public_key(key).thumbprint == thumbprint for key in keys):
            return one.name
    raise PRINCIPAL_UNKNOWN()
