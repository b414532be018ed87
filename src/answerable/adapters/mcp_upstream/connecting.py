"""Connect to one upstream server: over HTTP, through the broker's socket, or by starting its program."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import mcp_types
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from answerable.adapters.mcp_upstream.direct import CLIENT_INFO
from answerable.adapters.mcp_upstream.http_direct import http_direct
from answerable.adapters.mcp_upstream.http_transport import http_client
from answerable.adapters.mcp_upstream.live import Live
from answerable.adapters.mcp_upstream.stdio_direct import StdioDirect
from answerable.adapters.mcp_upstream.stdio_transport import stdio_transport
from answerable.core.lease.wire import HOST, MCP_PATH
from answerable.errors.codes.leases import BROKER_NONE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    import anyio
    from mcp.client._transport import Transport
    from mcp.client.session import MessageHandlerFnT

    from answerable.adapters.mcp_upstream.direct import Direct
    from answerable.adapters.mcp_upstream.settings import UpstreamSettings
    from answerable.adapters.mcp_upstream.stderr_log import StderrLog
    from answerable.core.registry.documents.documents import Server

READ_SLACK_SECONDS: Final = 30.0


async def connect(
    server: Server,
    settings: UpstreamSettings,
    stack: AsyncExitStack,
    lost: anyio.Event,
    *,
    log: StderrLog,
    announced: Callable[[], None],
    hear: MessageHandlerFnT,
) -> tuple[Live, Callable[[], None]]:
    """Return the connection, which ends with `stack`, and what is to be called once it works: a failure from then on
    ends one call, not the connection.

    lost: set when the connection takes no more requests. announced: called for each announcement of changed tools that
    a program writes. hear: given what the server says unasked. Raises Unavailable (`broker.none`), and the SDK's
    exceptions.
    """
    transport: Transport
    direct_of: Callable[[str], Direct | None]
    url = server.url or (f"http://{HOST}{MCP_PATH}{server.target}" if server.target else "")
    if url:
        if server.target and settings.broker_socket is None:
            raise BROKER_NONE("no broker is configured", port="upstream")
        client, contained = http_client(
            seconds_max=server.call_seconds_max + READ_SLACK_SECONDS,
            connections_max=settings.connections_max,
            body_bytes_max=settings.message_bytes_max,
            on_failure=lost.set,
            socket=settings.broker_socket if server.target else None,
        )
        await stack.enter_async_context(client)
        transport = streamable_http_client(
            url, http_client=client, max_sse_event_size=settings.message_bytes_max
        )
        direct_of = partial(http_direct, url, client, contained, settings.message_bytes_max)

        def contain() -> None:
            contained.contained = True

    else:
        lines = StdioDirect()
        transport = stdio_transport(
            server, settings=settings, log=log, lines=lines, gone=lost.set, announced=announced
        )
        direct_of = lines.speaking

        def contain() -> None:
            return

    entered = await stack.enter_async_context(
        Client(transport, mode=settings.mode, cache=None, client_info=CLIENT_INFO, message_handler=hear)
    )
    if settings.mode in MODERN_PROTOCOL_VERSIONS:
        # A pinned revision skips discovery, which would report the server's capabilities.
        said = await entered.session.send_discover(settings.mode)
        entered.session.adopt(mcp_types.DiscoverResult.model_validate(said))
    direct = direct_of(entered.session.protocol_version or "")
    return Live(session=entered.session, lost=lost, direct=direct), contain
