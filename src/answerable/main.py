"""The `answerable` command: the command line, and the commands that open doors."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from answerable.apps.cli.application import command_line
from answerable.apps.cli.command import Shell, command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import typer

    from answerable.wiring.assemble import Product
    from answerable.wiring.serving import Listeners
    from answerable.wiring.setting_tree import Settings


def application() -> typer.Typer:
    """Every command there is. What a command needs is imported when it runs, so that --help is quick."""
    app = command_line(offline_control)
    command(app, "up", panel="Running it")(up)
    return app


def up(shell: Shell) -> int | None:
    """Run the whole product in this process, on an embedded default.

    Opens the gateway for agents on loopback and on a Unix socket, and the control socket for people. Needs no other
    server. Stops gracefully on Ctrl-C or SIGTERM.
    """
    from answerable.wiring.serving import Doors, run, serve_product

    settings = shell.settings()
    doors = Doors(gateway=partial(gateway_app, settings), control=partial(control_door, settings))

    async def started(product: Product, listeners: Listeners) -> None:
        say = shell.terminal.say
        scheme = "https" if settings.gateway.tls_certificate else "http"
        if listeners.tcp_address is not None:
            host, port = listeners.tcp_address
            say(f"gateway   {scheme}://{host}:{port}/mcp/<server>")
        say(f"          {listeners.uds_path} (Unix socket)")
        say(f"control   {settings.control.socket}")
        say(f"ledger    {product.walk.ledger.origin}, {product.walk.ledger.size} entries")
        if not product.walk.registry.current.capabilities:
            say("nothing is registered yet: `answerable apply -f FILE`, then issue a mandate")

    run(partial(serve_product, settings, doors, started=started))
    return None


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
    )
    limits = GatewayLimits(
        hosts=frozenset(settings.gateway.allowed_hosts),
        origins=frozenset(settings.gateway.allowed_origins),
        body_bytes_max=settings.gateway.body_bytes_max,
    )
    return Gateway(needs, limits)


def control_door(settings: Settings, product: Product) -> Any:
    """The door for people and their tools, over one product."""
    from answerable.apps.control_api.application import control_app

    return control_app(product, body_bytes_max=settings.control.body_bytes_max)


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
