"""How every peer is served: the same server, event loop and settings as the gateway's own."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import uvicorn
import uvloop


def serve(app: Callable[..., Any]) -> None:
    """Serve on a free port of loopback, whose number is printed first, until SIGTERM."""
    uvloop.run(serve_here(app))


async def serve_here(app: Callable[..., Any]) -> None:
    """The same inside a running loop."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)
    # Callers that come before the application is up wait in the socket's backlog.
    await uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none")).serve([listener])
