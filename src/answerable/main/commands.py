"""The whole command line, with the commands that open listeners."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.application import NOUNS, command_line, first_word
from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.on_demand import command_tree
from answerable.main import kept_processes
from answerable.main.doors import (
    bundle_door,
    console_door,
    control_door,
    gateway_app,
    metrics_door,
    offline_control,
    serve_workloads,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typer.core import TyperGroup

    from answerable.wiring.assemble import Product
    from answerable.wiring.serving import Listeners
    from answerable.wiring.setting_tree import Settings


def application(line: Sequence[str] = ()) -> TyperGroup:
    """Return the command line: whole, or what a line needs if it begins with a word of it. A command's dependencies are
    imported when it runs, so that --help is quick.

    line: the arguments. Importing all commands takes more time than most commands, and memory that a server keeps.
    """
    word = first_word(line)
    if word not in _ADDED and not any(word in words for words in NOUNS.values()):
        word = ""
    app = command_line(offline_control, word)
    for own, add in _ADDED.items():
        if word in ("", own):
            add(app)
    return command_tree(app)


def _add_up(app: typer.Typer) -> None:
    command(app, "up", panel="Running it")(up)


def _add_broker(app: typer.Typer) -> None:
    command(app, "broker", panel="Running it")(serve_broker)


def _add_agent_up(app: typer.Typer) -> None:
    from answerable.main.agent_commands import add_agent_up

    add_agent_up(app)


def _add_mcp(app: typer.Typer) -> None:
    from answerable.main.mcp_commands import shim, unwrap_client, wrap_client

    mcp = typer.Typer(no_args_is_help=True, help="MCP clients: connect them through the gateway.")
    command(mcp, "shim")(shim)
    command(mcp, "wrap", reads=True)(wrap_client)
    command(mcp, "unwrap", reads=True)(unwrap_client)
    app.add_typer(mcp, name="mcp")


def _add_witness(app: typer.Typer) -> None:
    from answerable.apps.cli.witness import noun

    witness = noun()
    command(witness, "serve")(serve_witness)
    app.add_typer(witness, name="witness")


_ADDED: Final[dict[str, Callable[[typer.Typer], None]]] = {
    "up": _add_up,
    "broker": _add_broker,
    "agent": _add_agent_up,
    "mcp": _add_mcp,
    "witness": _add_witness,
}
"""Words that this module adds commands for, in the order of the help page."""


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
    server. Stops gracefully on Ctrl-C, SIGTERM or SIGHUP. SIGUSR1 and SIGUSR2 are only logged.
    """
    from answerable.apps.console.provider_pages import callback_of
    from answerable.wiring.identity_settings import person_issuers
    from answerable.wiring.own_files import require_own, server_faults
    from answerable.wiring.serving import Doors, run, serve_product, set_collector_apart
    from answerable.wiring.shard_settings import with_shard

    settings = with_shard(shell.settings(), shard) if shard else shell.settings()
    kept_processes.guard_memory(shell.terminal, "server: its keys are")
    require_own(server_faults(settings, shell.config))
    doors = Doors(
        gateway=partial(gateway_app, settings),
        control=partial(control_door, settings),
        witness=kept_processes.witness_command(shell.data, shell.config),
        broker=kept_processes.broker_command(shell.data, shell.config),
        search=kept_processes.index_command(shell.data, shell.config, shard),
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
        desk = product.walk.asking.passkeys
        if desk is not None and desk.origins:
            say(f"console   {desk.origins[0]}")
            for provider in person_issuers(settings.identity):
                back = desk.origins[0] + callback_of(provider.issuer)
                say(f"          sign-in at {provider.issuer} comes back to {back}")
            if not desk.register.all() and product.walk.authority.registry.current.principals:
                say("          nobody can sign in yet: invite a person with `answerable person invite NAME`")
        say(
            f"workloads unix://{settings.identity.socket} (SPIFFE Workload API of {settings.identity.trust_domain})"
        )
        say(f"ledger    {product.walk.recorder.ledger.origin}, {product.walk.recorder.ledger.size} entries")
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
        if not product.walk.authority.registry.current.capabilities:
            say("nothing is registered yet: `answerable apply -f FILE`, then issue a mandate")

    run(partial(serve_product, settings, doors, started=started))
    return None


def _say_accounts(shell: Shell, settings: Settings, product: Product) -> None:
    from answerable.wiring.accounts import broker_fault, stdio_fault, stdio_note

    if fault := broker_fault(settings):
        shell.terminal.warn(f"broker    {fault}")
    if fault := stdio_fault(settings):
        shell.terminal.warn(f"servers   {fault}")
    elif any(one.command for one in product.walk.authority.registry.current.servers.values()) and (
        note := stdio_note(settings)
    ):
        shell.terminal.warn(f"servers   over stdio {note}")


def serve_broker(
    shell: Shell,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", help="End when standard input ends, as `up` starts it.")
    ] = False,
) -> int | None:
    """Run the broker: it issues credentials for single actions and acts with them, so that no other process holds any.

    Its targets are files in `broker.targets`. `answerable up` starts a broker once there is such a file.
    """
    kept_processes.serve_broker(shell.terminal, shell.settings(), until_eof=until_eof)
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
    kept_processes.serve_witness(shell.terminal, shell.settings(), logs=log or (), until_eof=until_eof)
    return None
