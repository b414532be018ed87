"""Commands that put MCP clients behind the gateway: `answerable mcp shim`, `wrap` and `unwrap`."""

from __future__ import annotations

import shutil
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from answerable.apps.cli.command import Shell

GATEWAY_DEFAULT: Final = "http://127.0.0.1:8765"
LOOK_SECONDS: Final = 2.0

ClientFile = Annotated[
    Path, typer.Argument(help="A client's configuration file with `mcpServers`.", metavar="FILE")
]
KeyFile = Annotated[Path, typer.Option("--key", help="Key file of the agent.", metavar="FILE")]
GatewayAddress = Annotated[
    str,
    typer.Option(
        "--gateway",
        help="http(s)://HOST:PORT or unix:PATH; default: the socket of the given data directory, else "
        f"{GATEWAY_DEFAULT}.",
        show_default=False,
        metavar="ADDRESS",
    ),
]
MandateId = Annotated[
    str,
    typer.Option("--mandate", help="Mandate for messages that name none.", show_default=False, metavar="ID"),
]


def shim(
    shell: Shell,
    server: Annotated[str, typer.Option("--server", help="Registered name of the server.", metavar="NAME")],
    key: KeyFile,
    gateway: GatewayAddress = "",
    mandate: MandateId = "",
    delegation: Annotated[
        Path | None,
        typer.Option(
            "--delegation",
            help="File with the delegation that the agent received; read for every message.",
            show_default=False,
            metavar="FILE",
        ),
    ] = None,
) -> int | None:
    """Serve MCP over stdio, and hold the agent's key.

    An agent's client starts this as a server; each message is proved with the key and sent on to the gateway.
    """
    import anyio

    from answerable.apps.mcp_shim.received import ReceivedAuth
    from answerable.apps.mcp_shim.relay import run_shim
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.proof_auth import SessionAuth

    auth = SessionAuth(load_key(key), mandate=mandate)
    relay = partial(
        run_shim,
        server=server,
        gateway=gateway or default_gateway(shell),
        auth=auth if delegation is None else ReceivedAuth(auth, delegation),
        stdin=sys.stdin.buffer,
        stdout=sys.stdout.buffer,
    )
    anyio.run(relay)
    return None


def default_gateway(shell: Shell) -> str:
    """Return the default gateway address: the socket of a named data directory, whether or not a server runs yet, else
    loopback. Raises Malformed (`settings.faults`)."""
    return f"unix:{shell.settings().gateway.socket}" if shell.data_named else GATEWAY_DEFAULT


def wrap_client(
    shell: Shell,
    file: ClientFile,
    key: KeyFile,
    gateway: GatewayAddress = "",
    mandate: MandateId = "",
    documents: Annotated[
        Path | None,
        typer.Option(
            "--documents",
            help="File to write the servers' documents to; default: next to the configuration file.",
            show_default=False,
            metavar="FILE",
        ),
    ] = None,
) -> int | None:
    """Send a client's servers through the gateway.

    Rewrites its `mcpServers` file, keeps a backup, prints the difference, and writes the servers as documents to apply.
    Run it again to give another mandate, key or gateway, or to send servers through that were added since.
    """
    from answerable.apps.mcp_shim.client_config import ShimCommand
    from answerable.apps.mcp_shim.client_files import wrap

    place = documents or file.with_name(f"{file.name}.servers.yaml")
    # Clients rarely have this program's directory on their PATH.
    program = shutil.which("answerable") or "answerable"
    command_of_shim = ShimCommand(
        gateway=gateway or default_gateway(shell),
        key=str(key.absolute()),
        mandate=mandate,
        program=program,
    )
    report = wrap(file, command_of_shim, documents=place)
    terminal = shell.terminal
    if terminal.as_json:
        terminal.json(
            {
                "backup": str(report.backup),
                "diff": report.diff,
                "documents": str(place),
                "left": list(report.left),
            }
        )
    else:
        _show_diff(shell, report.diff)
    for why in report.left:
        terminal.warn(f"unchanged: {why}")
    terminal.say(f"backup in {report.backup}; register the servers with `answerable apply -f {place}`")
    if not is_there(command_of_shim.gateway):
        terminal.warn(
            f"no gateway answers at {command_of_shim.gateway} yet: start it with `answerable up` before the client"
        )
    return None


def is_there(gateway: str) -> bool:
    """Whether something listens at a gateway's address. An invalid address is reported when it is used."""
    from answerable.sdk.gateway_address import UDS_PREFIX

    try:
        if gateway.startswith(UDS_PREFIX):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(LOOK_SECONDS)
                connection.connect(gateway.removeprefix(UDS_PREFIX))
        else:
            url = urlsplit(gateway)
            port = url.port or (443 if url.scheme == "https" else 80)
            socket.create_connection((url.hostname or "", port), timeout=LOOK_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


def unwrap_client(shell: Shell, file: ClientFile) -> int | None:
    """Put a wrapped file back as it was."""
    from answerable.apps.mcp_shim.client_files import unwrap

    difference = unwrap(file)
    if shell.terminal.as_json:
        shell.terminal.json({"diff": difference})
    else:
        _show_diff(shell, difference)
    return None


def _show_diff(shell: Shell, difference: str) -> None:
    styles = {"+": "green", "-": "red"}
    for line in difference.splitlines():
        shell.terminal.line(line, styles.get(line[:1], ""))
