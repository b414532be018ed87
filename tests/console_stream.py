"""Reading a stream of events from an application, chunk by chunk, which transports for tests wait to the end of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from answerable.apps.console.sessions import COOKIE
from tests.console_client import BROWSER


@contextlib.asynccontextmanager
async def streamed(app: Any, cookie: str) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """`/news` as the browser with this cookie has it; gives the next chunk when called."""
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    gone = asyncio.Event()
    begun = False

    async def receive() -> dict[str, Any]:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            chunks.put_nowait(message["body"])

    headers = [(b"host", b"localhost:8768"), (b"cookie", f"{COOKIE}={cookie}".encode())]
    headers += [(b"user-agent", BROWSER.encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/news", "raw_path": b"/news", "query_string": b"", "headers": headers,
        "client": ("192.0.2.7", 1), "server": ("localhost", 8768), "root_path": "",
    }  # fmt: skip
    running = asyncio.create_task(app(scope, receive, send))
    try:
        yield chunks.get
    finally:
        gone.set()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
