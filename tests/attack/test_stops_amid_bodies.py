"""Clients that are still sending when a server stops: they keep nobody waiting, and what is under way ends as ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from answerable.adapters.uvicorn_front import FrontLimits
from tests.unit.adapters.uvicorn_front.test_front import serving

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("NEIGHBOUR-19")]
GRACE_SECONDS = 600
LATE_SECONDS = 60
"""In which a server stops that does not use up its grace."""
WHOLE = b"POST /whole HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
HEAD = b"POST /part HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


class Acting:
    """An application that reads the body, acts, and then answers. acted: the paths of what it did."""

    def __init__(self) -> None:
        self.begun, self.go_on = anyio.Event(), anyio.Event()
        self.acted: list[str] = []
        self.left = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        message = {"more_body": True}
        while message.get("more_body"):
            self.begun.set()
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
        await self.go_on.wait()
        self.acted.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def everything(stream: anyio.abc.SocketStream) -> bytes:
    found = b""
    try:
        while True:
            found += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return found


@pytest.mark.parametrize("sent", [HEAD, HEAD + b"{", HEAD[:-2], b""])
async def test_a_request_that_is_not_whole_ends_with_the_server(tmp_path: Path, sent: bytes) -> None:
    app, path = Acting(), tmp_path / "s"
    with anyio.fail_after(LATE_SECONDS):
        async with serving(app, uds=path, limits=FrontLimits(grace_seconds=GRACE_SECONDS)):
            slow = await anyio.connect_unix(path)
            if sent:
                await slow.send(sent)
            if HEAD in sent:
                await app.begun.wait()
        assert (await everything(slow), app.acted) == (b"", [])
    await slow.aclose()


@pytest.mark.parametrize("behind", [b"", HEAD, HEAD + b"{", HEAD[:-2], WHOLE + HEAD])
async def test_an_action_under_way_is_answered_and_what_is_not_whole_behind_it_is_not_waited_for(
    tmp_path: Path, behind: bytes
) -> None:
    app, path = Acting(), tmp_path / "s"
    got = list[bytes]()

    async def goes_on(idle: anyio.abc.SocketStream, client: anyio.abc.SocketStream) -> None:
        assert await everything(idle) == b"", "it ends as the server begins to stop"
        app.go_on.set()
        got.append(await everything(client))

    with anyio.fail_after(LATE_SECONDS):
        async with (
            anyio.create_task_group() as tasks,
            serving(app, uds=path, limits=FrontLimits(grace_seconds=GRACE_SECONDS)),
        ):
            idle, client = await anyio.connect_unix(path), await anyio.connect_unix(path)
            await client.send(WHOLE + behind)
            await app.begun.wait()
            tasks.start_soon(goes_on, idle, client)
    await idle.aclose()
    wanted = 1 + behind.count(WHOLE)
    assert app.acted == ["/whole"] * wanted
    assert got[0].count(b"HTTP/1.1 204") == wanted
    await client.aclose()
