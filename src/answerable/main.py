"""The `answerable` command: the command line, and the commands that open doors."""

from __future__ import annotations

import shutil
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from answerable.apps.cli.application import command_line
from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.witness import noun as witness_noun
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from answerable.core.identity.principal import AgentId
    from answerable.flows.cosign_checkpoint import WitnessDesk
    from answerable.wiring.assemble import Product
    from answerable.wiring.serving import Listeners
    from answerable.wiring.setting_tree import Settings


GATEWAY_DEFAULT: Final = "http://127.0.0.1:8765"

ClientFile = Annotated[
    Path, typer.Argument(help="A client's configuration file with `mcpServers`.", metavar="FILE")
]
KeyFile = Annotated[Path, typer.Option("--key", help="Key file of the agent.", metavar="FILE")]
GatewayAddress = Annotated[
    str,
    typer.Option(
        "--gateway",
        help="http(s)://HOST:PORT or unix:PATH; else the socket of the data directory that is named and has one, else "
        f"{GATEWAY_DEFAULT}.",
        show_default=False,
        metavar="ADDRESS",
    ),
]
MandateId = Annotated[
    str,
    typer.Option("--mandate", help="Mandate of messages that name none.", show_default=False, metavar="ID"),
]


def application() -> typer.Typer:
    """Every command there is. What a command needs is imported when it runs, so that --help is quick."""
    app = command_line(offline_control)
    command(app, "up", panel="Running it")(up)
    mcp = typer.Typer(no_args_is_help=True, help="MCP clients: put them behind the gateway.")
    command(mcp, "shim")(shim)
    command(mcp, "wrap", reads=True)(wrap_client)
    command(mcp, "unwrap", reads=True)(unwrap_client)
    app.add_typer(mcp, name="mcp")
    witness = witness_noun()
    command(witness, "serve")(serve_witness)
    app.add_typer(witness, name="witness")
    return app


def up(
    shell: Shell,
    shard: Annotated[
        str,
        typer.Option(
            "--shard",
            help="Name of this process's shard, where several share the data directory; else `ledger.shard`.",
            show_default=False,
            metavar="NAME",
        ),
    ] = "",
) -> int | None:
    """Run the whole product in one process.

    On an embedded default: registers in SQLite, the ledger in files.

    Opens the gateway for agents on loopback and on a Unix socket, and the control socket for people. Needs no other
    server. Stops gracefully on Ctrl-C or SIGTERM.
    """
    from answerable.wiring.serving import Doors, run, serve_product
    from answerable.wiring.shard_settings import with_shard

    settings = with_shard(shell.settings(), shard) if shard else shell.settings()
    doors = Doors(
        gateway=partial(gateway_app, settings),
        control=partial(control_door, settings),
        witness=witness_command(shell),
    )

    async def started(product: Product, listeners: Listeners) -> None:
        say = shell.terminal.say
        scheme = "https" if settings.gateway.tls_certificate else "http"
        if listeners.tcp_address is not None:
            host, port = listeners.tcp_address
            say(f"gateway   {scheme}://{host}:{port}/mcp/<server>")
        say(f"          {listeners.uds_path} (Unix socket)")
        say(f"control   {settings.control.socket}")
        say(f"ledger    {product.walk.ledger.origin}, {product.walk.ledger.size} entries")
        if product.heads is not None:
            kept = "kept here" if product.heads.is_kept_here else "kept by another process"
            say(f"heads     {product.heads.origin}, {kept}")
        for one in product.shard_states():
            if one.state == "alarm":
                shell.terminal.warn(f"shard     {one.origin} is not covered: {one.reason}")
        for witness in product.witness_states():
            if witness.state == "alarm":
                shell.terminal.warn(f"witness   {witness.name} does not cosign: {witness.reason}")
        if not product.walk.registry.current.capabilities:
            say("nothing is registered yet: `answerable apply -f FILE`, then issue a mandate")

    run(partial(serve_product, settings, doors, started=started))
    return None


def witness_command(shell: Shell) -> tuple[str, ...]:
    """How this command line starts the local witness, in a process that ends with ours."""
    config = ("--config", str(shell.config.absolute())) if shell.config is not None else ()
    started = (sys.executable, "-P", "-m", "answerable.main", "--data", str(shell.data), *config)
    return (*started, "witness", "serve", "--quiet", "--until-eof")


def serve_witness(
    shell: Shell,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log", help="Watch the log of this verifier key, too.", show_default=False, metavar="VKEY"
        ),
    ] = None,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", help="End when standard input ends, as `up` starts it.")
    ] = False,
) -> int | None:
    """Run a witness: it cosigns checkpoints of the logs that it watches, and remembers them.

    On a Unix socket, and on loopback if a port is set (C2SP tlog-witness). `answerable up` runs one by itself.
    """
    from answerable.core.tlog.note import VerifierKey
    from answerable.wiring import local_witness

    settings = shell.settings()

    def started(listeners: Listeners, desk: WitnessDesk) -> None:
        say = shell.terminal.say
        say(f"witness   {listeners.uds_path} (Unix socket)")
        if listeners.tcp_address is not None:
            say(f"          http://{listeners.tcp_address[0]}:{listeners.tcp_address[1]}")
        for one in desk.cosigners:
            say(f"key       {one.key.formatted()}")

    serving = partial(
        local_witness.serve_witness,
        settings,
        partial(witness_door, settings),
        logs=[VerifierKey.parse(key) for key in log or ()],
        until_eof=until_eof,
        started=started,
    )
    local_witness.run(serving)
    return None


def shim(
    shell: Shell,
    server: Annotated[str, typer.Option("--server", help="Registered name of the server.", metavar="NAME")],
    key: KeyFile,
    gateway: GatewayAddress = "",
    mandate: MandateId = "",
) -> int | None:
    """Serve MCP over stdio, and hold the agent's key.

    An agent's client starts this as a server; each message is proved with the key and sent on to the gateway.
    """
    import anyio

    from answerable.apps.mcp_shim.relay import run_shim
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.proof_auth import SessionAuth

    auth = SessionAuth(load_key(key), mandate=mandate)
    relay = partial(
        run_shim,
        server=server,
        gateway=gateway or default_gateway(shell),
        auth=auth,
        stdin=sys.stdin.buffer,
        stdout=sys.stdout.buffer,
    )
    anyio.run(relay)
    return None


def default_gateway(shell: Shell) -> str:
    """Where the gateway is when nobody says so: the socket of a data directory that was named, else loopback.

    Raises Malformed (`settings.faults`).
    """
    if shell.data_named:
        place = shell.settings().gateway.socket
        if place.is_socket():
            return f"unix:{place}"
    return GATEWAY_DEFAULT


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
            help="Where to write the servers' documents; else beside the file.",
            show_default=False,
            metavar="FILE",
        ),
    ] = None,
) -> int | None:
    """Send a client's servers through the gateway.

    Rewrites its `mcpServers` file, keeps a backup, prints the difference, and writes the servers as documents to apply.
    """
    from answerable.apps.mcp_shim.client_config import ShimCommand, wrap

    place = documents or file.with_name(f"{file.name}.servers.yaml")
    if place.exists():
        raise Malformed(
            f"{shown(place.name)} is there already and is not overwritten: name another with --documents",
            code="cli.documents_exist",
        )
    # Clients rarely have our directory on their PATH.
    program = shutil.which("answerable") or "answerable"
    command_of_shim = ShimCommand(
        gateway=gateway or default_gateway(shell),
        key=str(key.absolute()),
        mandate=mandate,
        program=program,
    )
    report = wrap(file, command_of_shim)
    place.write_text(report.documents, encoding="utf-8")
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
        terminal.warn(f"left as it is: {why}")
    terminal.say(f"backup in {report.backup}; register the servers with `answerable apply -f {place}`")
    return None


def unwrap_client(shell: Shell, file: ClientFile) -> int | None:
    """Put a wrapped file back as it was."""
    from answerable.apps.mcp_shim.client_config import unwrap

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


def gateway_app(settings: Settings, product: Product) -> Any:
    """The door for agents, over one product."""
    from answerable.apps.mcp_gateway.gateway import Gateway
    from answerable.apps.mcp_gateway.needs import GatewayLimits, Needs
    from answerable.flows.govern_action import govern_action
    from answerable.flows.list_capabilities import list_capabilities

    needs = Needs(
        prover=product.verifier,
        govern=partial(govern_action, product.walk),
        visible=partial(list_capabilities, product.walk),
        offers=product.upstream,
        noted=partial(_noted, product),
    )
    gateway = settings.gateway
    limits = GatewayLimits(
        hosts=frozenset(gateway.allowed_hosts),
        origins=frozenset(gateway.allowed_origins),
        body_bytes_max=gateway.body_bytes_max,
        body_seconds_max=gateway.body_seconds_max,
        requests_per_agent_max=gateway.requests_per_agent_max,
        sessions_per_agent_max=gateway.sessions_per_agent_max,
        session_idle_seconds=gateway.session_idle_seconds,
        listens_per_agent_max=gateway.listens_per_agent_max,
        uris_per_listen_max=gateway.uris_per_listen_max,
        events_waiting_max=gateway.events_waiting_max,
    )
    return Gateway(needs, limits)


# What honest clients meet too: a restart of the server, a burst, a probe for what the SDK offers.
_EVERYDAY = frozenset(
    {"session.unknown", "session.missing", "http.too_many", "http.bodies_full", "rpc.refused"}
)


def _noted(product: Product, agent: AgentId, code: str) -> None:
    """Count a refusal that came before there was an action to record, so that it is told in an aggregate entry."""
    if code not in _EVERYDAY:
        product.walk.quota.note(agent, product.walk.clock.now())


def control_door(settings: Settings, product: Product) -> Any:
    """The door for people and their tools, over one product."""
    from answerable.apps.control_api.application import control_app

    return control_app(product, body_bytes_max=settings.control.body_bytes_max)


def witness_door(settings: Settings, desk: WitnessDesk) -> Any:
    """The door for logs and monitors, over one witness."""
    from answerable.apps.witness.application import Needs, witness_app
    from answerable.flows.cosign_checkpoint import cosign_checkpoint

    def newest(origin_hash: str) -> bytes | None:
        log = desk.register.log_of_hash(origin_hash)
        return log.newest if log is not None else None

    needs = Needs(cosign=partial(cosign_checkpoint, desk), newest=newest)
    return witness_app(needs, body_seconds_max=settings.local_witness.body_seconds_max)


@asynccontextmanager
async def offline_control(settings: Settings) -> AsyncIterator[Any]:
    """The control application on a data directory, in this process, with no other door open."""
    from answerable.wiring.assemble import assembled

    async with assembled(settings) as product:
        yield control_door(settings, product)


def run() -> None:
    """Entry point of the installed command."""
    application()(prog_name="answerable")


if __name__ == "__main__":
    run()
