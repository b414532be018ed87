"""What a handle sends on, and what it does not."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx2
import pytest

from answerable.apps.sidecar.http_server import HttpRequest
from answerable.apps.sidecar.relay import relay
from answerable.apps.sidecar.tasks import Tasks

pytestmark = pytest.mark.anyio
MESSAGE = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}).encode()


class Written:
    begun = False

    def __init__(self):
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = b""

    async def json(self, status, value):
        self.status, self.body = status, json.dumps(value).encode()

    async def begin(self, status, headers):
        self.begun, self.status, self.headers = True, status, headers

    async def piece(self, body):
        self.body += body


class Someone:
    auth = httpx2.BasicAuth("stands", "for a proof")
    thumbprint = "of nobody's key"


async def relayed(request, answer):
    seen = []

    def gateway(arrived):
        seen.append(arrived)
        return answer(arrived) if callable(answer) else answer

    reply = Written()
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(gateway)) as client:
        base, someone = "http://gateway.test", cast("Any", Someone())
        await relay(client, base, someone, Tasks(client, base, someone), request, cast("Any", reply))
    return reply, seen


def request(method="POST", target="/mcp/crm", body=MESSAGE, *headers):
    return HttpRequest(method=method, target=target, headers=headers, body=body)


async def test_a_message_goes_on_byte_for_byte_with_the_fields_that_mcp_has_and_no_others():
    fields = (
        ("host", "elsewhere.test"), ("authorization", "Bearer mine"), ("signature", "forged"),
        ("signature-input", "forged"), ("content-digest", "forged"), ("cookie", "a=b"),
        ("mcp-session-id", "s-1"), ("answerable-mandate", "m-1"), ("content-type", "application/json"),
    )  # fmt: skip
    answer = httpx2.Response(200, content=b"{}", headers={"mcp-session-id": "s-2", "set-cookie": "x=y"})
    reply, (sent,) = await relayed(request("POST", "/mcp/crm", MESSAGE, *fields), answer)
    assert sent.content == MESSAGE
    assert sent.headers["host"] == "gateway.test"
    assert sent.headers["authorization"].startswith("Basic ")
    assert sent.headers["mcp-session-id"] == "s-1"
    assert sent.headers["answerable-mandate"] == "m-1"
    assert not {"signature", "signature-input", "content-digest", "cookie"} & set(sent.headers)
    assert (reply.status, reply.body, dict(reply.headers)) == (200, b"{}", {"mcp-session-id": "s-2"})


@pytest.mark.parametrize(
    "one",
    [
        request(target="/session"),
        request(target="/identity/v1/end"),
        request(target="/mcp/crm?a=b"),
        request(target="/mcp/../session"),
        request(target="/mcp/crm/x"),
        request(method="PUT"),
        request(method="GET", body=b"x"),
        request(body=b"bytes of my choice"),
        request(body=b"[" + MESSAGE + b"]"),
        request(body=b'{"jsonrpc":"2.0","jsonrpc":"2.0","method":"x"}'),
        request(body=b'{"jsonrpc":"2.0","id":1,"result":{}}'),
        request("POST", "/mcp/crm", MESSAGE, ("accept", "a"), ("accept", "b")),
    ],
)
async def test_nothing_but_one_mcp_message_is_signed(one):
    reply, seen = await relayed(one, httpx2.Response(200))
    assert seen == []
    assert reply.status == 400


async def test_a_gateway_that_is_away_is_told_from_one_that_was_lost():
    def away(_):
        raise httpx2.ConnectError("nobody there")

    def lost(_):
        raise httpx2.ReadError("gone")

    reply, _ = await relayed(request(), away)
    assert (reply.status, json.loads(reply.body)["error"]["data"]) == (502, {"effect": "none"})
    assert json.loads(reply.body)["id"] == 7
    reply, _ = await relayed(request(), lost)
    assert json.loads(reply.body)["error"]["data"] == {"effect": "unknown"}
