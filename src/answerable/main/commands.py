"""The whole command line, with the commands that open listeners."""

from __future__ import annotations

import faulthandler
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.application import command_line
from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.on_demand import command_tree
from answerable.apps.cli.witness import noun as witness_noun
from answerable.main.agent_commands import add_agent_up
from answerable.main.doors import (
    broker_door,
    bundle_door,
    console_door,
    control_door,
    gateway_app,
    metrics_door,
    offline_control,
    serve_workloads,
    witness_door,
)
from answerable.main.mcp_commands import shim, unwrap_client, wrap_client

if TYPE_CHECKING:
    from typer.core import TyperGroup

    from answerable.flows.ledger.cosign_checkpoint import CosigningState
    from answerable.wiring.assemble import Product
    from answerable.wiring.broker import Broker
    from answerable.wiring.serving import Listeners
    from answerable.wiring.setting_tree import Settings

STDERR: Final = 2
"""Descriptor of standard error."""


def application() -> TyperGroup:
    """Return the whole command line. A command's dependencies are imported when it runs, so that --help is quick."""
    app = command_line(offline_control)
    command(app, "up", panel="Running it")(up)
    command(app, "broker", panel="Running it")(serve_broker)
    add_agent_up(app)
    mcp = typer.Typer(no_args_is_help=True, help="MCP clients: connect them through the gateway.")
    command(mcp, "shim")(shim)
    command(mcp, "wrap", reads=True)(wrap_client)
    command(mcp, "unwrap", reads=True)(unwrap_client)
    app.add_typer(mcp, name="mcp")
    witness = witness_noun()
    command(witness, "serve")(serve_witness)
    app.add_typer(witness, name="witness")
    return command_tree(app)


def up(
    shell: Shell,
    shard: Annotated[
        str,
        typer.Option(
            "--shard",
            help="Name of this process's shard, if several share the data directory; default: `ledger.shard`.",
            show_default=False,
            metavar="NAME",
        ),
    ] = "",
) -> int | None:
    """Run the whole product, and keep what runs beside it: a witness, and a broker where there is a target.

    On an embedded default: registers in SQLite, the ledger in files.

    Opens the gateway for agents on loopback and on a Unix socket, and the control socket for people. Needs no other
    server. Stops gracefully on Ctrl-C or SIGTERM.
    """
    from answerable.apps.console.provider_pages import callback_of
    from answerable.wiring.identity_settings import person_issuers
    from answerable.wiring.own_files import require_own, server_faults
    from answerable.wiring.serving import Doors, run, serve_product, set_collector_apart
    from answerable.wiring.shard_settings import with_shard

    settings = with_shard(shell.settings(), shard) if shard else shell.settings()
    _guard_memory(shell, "server: its keys are")
    require_own(server_faults(settings, shell.config))
    doors = Doors(
        gateway=partial(gateway_app, settings),
        control=partial(control_door, settings),
        witness=witness_command(shell),
        broker=broker_command(shell),
        workloads=partial(serve_workloads, settings),
        bundle=bundle_door,
        metrics=metrics_door,
        console=partial(console_door, settings),
    )

    async def started(product: Product, listeners: Listeners) -> None:
        set_collector_apart()
        say = shell.terminal.say
        scheme = "https" if settings.gateway.tls_certificate else "http"
        if listeners.tcp_address is not None:
            host, port = listeners.tcp_address
            say(f"gateway   {scheme}://{host}:{port}/mcp/<server>")
        say(f"          {listeners.uds_path} (Unix socket)")
        say(f"control   {settings.control.socket}")
        desk = product.walk.passkeys
        if desk is not None and desk.origins:
            say(f"console   {desk.origins[0]}")
            for provider in person_issuers(settings.identity):
                back = desk.origins[0] + callback_of(provider.issuer)
                say(f"          sign-in at {provider.issuer} comes back to {back}")
            if not desk.register.all() and product.walk.registry.current.principals:
                say("          nobody can sign in yet: invite a person with `answerable person invite NAME`")
        say(
            f"workloads unix://{settings.identity.socket} (SPIFFE Workload API of {settings.identity.trust_domain})"
        )
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
        _say_accounts(shell, settings, product)
        if not product.walk.registry.current.capabilities:
            say("nothing is registered yet: `answerable apply -f FILE`, then issue a mandate")

    run(partial(serve_product, settings, doors, started=started))
    return None


def witness_command(shell: Shell) -> tuple[str, ...]:
    """Return the command that starts the local witness, in a process that ends with this one."""
    return (*_ourselves(shell), "witness", "serve", "--quiet", "--until-eof")


def broker_command(shell: Shell) -> tuple[str, ...]:
    """Return the command that starts the broker, in a process that ends with this one."""
    return (*_ourselves(shell), "broker", "--quiet", "--until-eof")


def _say_accounts(shell: Shell, settings: Settings, product: Product) -> None:
    from answerable.wiring.accounts import stdio_fault, stdio_note

    if fault := stdio_fault(settings):
        shell.terminal.warn(f"servers   {fault}")
    elif any(one.command for one in product.walk.registry.current.servers.values()) and (
        note := stdio_note(settings)
    ):
        shell.terminal.warn(f"servers   over stdio {note}")


def _guard_memory(shell: Shell, what: str) -> None:
    """Before any secret is read, disable core files and forbid other processes of this user to inspect this process."""
    from answerable.wiring import guarding

    # A mapped file that cannot be read ends the process by a signal, which nothing else would report.
    faulthandler.enable(file=STDERR, all_threads=False)
    if not guarding.without_core_dumps() or not guarding.without_tracing():
        who, _, held = what.partition(": ")
        shell.terminal.say(
            f"other processes of this user can read the memory of the {who}: {held} not protected from them"
        )


def _ourselves(shell: Shell) -> tuple[str, ...]:
    config = ("--config", str(shell.config.absolute())) if shell.config is not None else ()
    return (sys.executable, "-P", "-m", "answerable", "--data", str(shell.data), *config)


def serve_broker(
    shell: Shell,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", help="End when standard input ends, as `up` starts it.")
    ] = False,
) -> int | None:
    """Run the broker: it issues credentials for single actions and acts with them, so that no other process holds any.

    Its targets are files in `broker.targets`. `answerable up` starts a broker once there is such a file.
    """
    from answerable.wiring import broker

    settings = shell.settings()
    _guard_memory(shell, "broker: its secrets are")

    def started(listeners: Listeners, opened: Broker, left: int) -> None:
        broker.set_collector_apart()
        say = shell.terminal.say
        say(f"broker    {listeners.uds_path} (Unix socket)")
        for name, kind in sorted(opened.kinds.items()):
            say(f"target    {name} ({kind})")
        if not opened.kinds:
            say(f"no targets yet: add NAME.toml to {settings.broker.targets}")
        if left:
            say(f"{left} leases of an earlier process are being ended")

    broker.run(partial(broker.serve_broker, settings, broker_door, until_eof=until_eof, started=started))
    return None


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
    _guard_memory(shell, "witness: its key is")

    def started(listeners: Listeners, desk: CosigningState) -> None:
        local_witness.set_collector_apart()
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
