"""How every peer is served: the same server, event loop and settings as the gateway's own."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
import uvloop
from uvicorn._types import ASGIApplication


def serve(app: ASGIApplication) -> None:
    """Serve on a free port of loopback, whose number is printed, until SIGTERM."""
    uvloop.run(serve_here(app))


async def serve_here(app: ASGIApplication) -> None:
    """The same inside a running loop."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    print(listener.getsockname()[1], flush=True)
    await serving
