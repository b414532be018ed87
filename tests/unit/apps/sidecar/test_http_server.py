"""What a handle does with connections whose ends meet its own."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from anyio.abc import UNIXSocketStream

from answerable.apps.sidecar.http_server import HttpRequest, Reply, converse


@pytest.mark.requirement("ENROL-16")
def test_an_agent_that_ends_in_the_moment_of_its_answer_leaves_no_traceback() -> None:
    failed: list[dict[str, Any]] = []

    async def answered() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context))
        agent, ours = socket.socketpair()

        async def answer(request: HttpRequest, reply: Reply) -> None:
            await reply.json(200, request.target)
            await reply.end()
            await asyncio.sleep(0.01)
            agent.close()
            # In the turn in which this goes on, the loop has seen the end of the stream and has not told anybody.
            await asyncio.sleep(0)

        agent.sendall(b"GET /instance HTTP/1.1\r\nhost: localhost\r\n\r\n")
        async with await UNIXSocketStream.from_socket(ours) as stream:
            await converse(stream, answer)

    asyncio.run(answered())
    assert failed == []
