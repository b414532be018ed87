"""What the shim does when the gateway has forgotten its session, in every order of the answers."""

from __future__ import annotations

import io
import json
import os
import socket
from functools import partial

import anyio
import httpx2
import pytest

from answerable.apps.mcp_shim import gateway_client
from answerable.apps.mcp_shim.gateway_client import SESSION_FIELD
from answerable.apps.mcp_shim.lines import Writer
from answerable.apps.mcp_shim.relay import _Relay, run_shim
from answerable.errors import Malformed
from tests.probes.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("GATE-17")]

OPENING = b'{"jsonrpc":"2.0","id":"open","method":"initialize","params":{}}\n'


class ForgetfulGateway:
    """Knows the newest session alone. Of two messages in the one that it forgot, the second hears of it when a new one
    is open, which the first has opened by then."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.met = 0
        self.both_met, self.opened_again = anyio.Event(), anyio.Event()
        self.done: list[tuple[str, str]] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        message = json.loads(request.content) if request.content else {}
        session = request.headers.get(SESSION_FIELD, "")
        if message.get("method") == "initialize":
            self.sessions.append(f"session-{len(self.sessions)}")
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": {"protocolVersion": "2025-11-25"}}
            return httpx2.Response(200, json=answer, headers={SESSION_FIELD: self.sessions[-1]})
        if message.get("method") == "notifications/initialized":
            if len(self.sessions) > 1:
                self.opened_again.set()
            return httpx2.Response(202)
        if "id" not in message:
            return httpx2.Response(405)
        if session == self.sessions[0]:
            self.met += 1
            if self.met == 1:
                await self.both_met.wait()
            else:
                self.both_met.set()
                await self.opened_again.wait()
            return httpx2.Response(404)
        self.done.append((message["id"], session))
        return httpx2.Response(200, json={"jsonrpc": "2.0", "id": message["id"], "result": {}})


async def test_two_messages_that_meet_the_end_of_a_session_open_one_again() -> None:
    gateway, out = ForgetfulGateway(), io.BytesIO()
    reading, writing = os.pipe()
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(gateway)) as client:
        relay = _Relay(client, "http://gateway.test/mcp/crm", Writer(out))
        with anyio.fail_after(20), os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb", 0) as typed:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(relay.run, stdin)
                typed.write(OPENING)
                while b"open" not in out.getvalue():
                    await anyio.lowlevel.checkpoint()
                typed.write(b'{"jsonrpc":"2.0","id":"a","method":"tools/list"}\n')
                typed.write(b'{"jsonrpc":"2.0","id":"b","method":"tools/list"}\n')
                while len(gateway.done) < 2:
                    await anyio.lowlevel.checkpoint()
                typed.close()
    assert gateway.sessions == ["session-0", "session-1"]
    assert {one for one, _ in gateway.done} == {"a", "b"}
    assert {session for _, session in gateway.done} == {"session-1"}
    answered = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [one["id"] for one in answered if "error" in one] == []


async def test_a_page_of_whatever_else_listens_there_is_told_as_an_error_with_the_id_of_the_request() -> None:
    out = io.BytesIO()
    reading, writing = os.pipe()
    stranger = httpx2.MockTransport(lambda _: httpx2.Response(401, json={"error": "x"}))
    async with httpx2.AsyncClient(transport=stranger) as client:
        with anyio.fail_after(20), os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb", 0) as typed:
            typed.write(b'{"jsonrpc":"2.0","id":"a","method":"tools/list"}\n')
            typed.close()
            await _Relay(client, "http://gateway.test/mcp/crm", Writer(out)).run(stdin)
    (answer,) = map(json.loads, out.getvalue().splitlines())
    assert answer["id"] == "a"
    assert "HTTP 401" in answer["error"]["message"]


CALL = b'{"jsonrpc":"2.0","id":"open","method":"tools/call","params":{"name":"read"}}\n'


@pytest.mark.requirement("GATE-19")
@pytest.mark.parametrize("first", [OPENING, CALL], ids=["opening", "call"])
async def test_a_program_that_listens_there_and_says_nothing_is_told_by_its_address(
    monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(gateway_client, "OPENING_SECONDS_MAX", 0.2)
    out = io.BytesIO()
    reading, writing = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as silent, anyio.fail_after(20):
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb", 0) as typed:
            async with anyio.create_task_group() as tasks:
                shim = partial(run_shim, server="crm", gateway=address, auth=httpx2.Auth())
                tasks.start_soon(partial(shim, stdin=stdin, stdout=out))
                typed.write(first)
                await until(lambda: b"open" in out.getvalue())
                typed.close()
    (answer,) = map(json.loads, out.getvalue().splitlines())
    assert (answer["id"], answer["error"]["data"]["effect"]) == ("open", "unknown")
    assert f"nothing at {address} answers" in answer["error"]["message"]


@pytest.mark.requirement("GATE-19")
async def test_a_first_call_that_takes_long_goes_on_where_a_gateway_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway_client, "OPENING_SECONDS_MAX", 0.05)
    asked, may_end = list[str](), anyio.Event()

    async def busy(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.method)
        if request.method != "POST":
            return httpx2.Response(405)
        await may_end.wait()
        return httpx2.Response(200, json={"jsonrpc": "2.0", "id": "open", "result": {}})

    out = io.BytesIO()
    reading, writing = os.pipe()
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(busy)) as client:
        relay = _Relay(client, "http://gateway.test/mcp/crm", Writer(out))
        with anyio.fail_after(20), os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb", 0) as typed:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(relay.run, stdin)
                typed.write(CALL)
                await until(lambda: relay._session.is_answered)
                assert not out.getvalue()
                may_end.set()
                await until(lambda: b"open" in out.getvalue())
                typed.close()
    (answer,) = map(json.loads, out.getvalue().splitlines())
    assert answer["result"] == {}
    assert asked == ["POST", "OPTIONS"]


@pytest.mark.parametrize("port", ["65536", "99999999999", "-1", "0", "x"])
async def test_a_gateway_whose_port_is_none_is_refused_before_anything_is_read(port: str) -> None:
    refused = partial(run_shim, auth=httpx2.Auth(), stdin=io.BytesIO(OPENING), stdout=io.BytesIO())
    with pytest.raises(Malformed) as told:
        await refused(server="crm", gateway=f"http://127.0.0.1:{port}")
    assert (told.value.code, "no port from 1 to 65535" in told.value.message) == ("shim.gateway", True)
