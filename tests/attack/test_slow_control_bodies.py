"""A client of the control socket that announces a body and does not send it: it keeps its place for a bounded time."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import httpx2
import pytest

from answerable.apps.control_api.application import control_app
from tests.unit.adapters.uvicorn_front.test_front import serving
from tests.worlds.control import memory_product

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("GATE-08")]
HEAD = (
    b"POST /v1/mandates HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n"
)


@pytest.mark.parametrize("part", [b"", b'{"token": '])
async def test_a_body_that_does_not_come_is_refused_in_time_and_holds_up_nobody(
    tmp_path: Path, part: bytes
) -> None:
    path = tmp_path / "control.sock"
    app = control_app(memory_product(), body_seconds_max=0.2)
    async with serving(app, uds=path), await anyio.connect_unix(path) as slow:
        await slow.send(HEAD + part)
        transport = httpx2.AsyncHTTPTransport(uds=str(path))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as others:
            assert (await others.get("/v1/mandates")).status_code == 200
        with anyio.fail_after(10):
            answer = await slow.receive()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    told = json.loads(body)
    assert (told["code"], told["detail"]) == ("http.slow_body", "the body was not received within 0.2 s")
