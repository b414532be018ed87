"""How the control API answers what it does not take: the manners of HTTP, and nothing ignored."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request

from answerable.apps.broker import control as broker_control
from answerable.apps.console import guard
from answerable.apps.console.services import ConsoleLimits
from answerable.apps.control_api.application import control_app
from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel, PeerCredentials
from answerable.errors import Malformed
from tests.unit.apps.control_api.test_control_api import client_of
from tests.worlds.control import memory_product

pytestmark = pytest.mark.anyio
OWN = PeerCredentials(pid=1, uid=os.geteuid(), gid=1)


async def test_a_wrong_method_is_told_which_there_are() -> None:
    async with client_of(control_app(memory_product())) as client:
        for path, methods in (("/v1/mandates", "GET, HEAD, POST"), ("/v1/registry/apply", "POST")):
            answer = await client.http.request("DELETE", path)
            assert (answer.status_code, answer.headers["allow"]) == (405, methods)


async def test_where_nothing_is_to_be_said_an_unknown_member_is_refused() -> None:
    async with client_of(control_app(memory_product())) as client:
        answer = await client.http.post("/v1/ledger/seal", json={"force": True})
        assert answer.status_code == 400
        assert (await client.http.post("/v1/ledger/seal")).status_code == 200


@pytest.mark.requirement("ASKING-07")
async def test_a_client_that_leaves_in_mid_body_is_no_fault_of_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, sent = control_app(memory_product()), list[Any]()
    scope = {
        "type": "http", "method": "POST", "path": "/v1/ledger/seal", "query_string": b"", "headers": [],
        "extensions": {CHANNEL_EXTENSION: Channel(connection=1, sequence=1, peer=OWN)},
    }  # fmt: skip

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, leaving(), send)
    assert sent[0]["status"] == 400
    assert b"http.left" in sent[1]["body"]
    assert caplog.records == []


@pytest.mark.requirement("ASKING-07")
@pytest.mark.parametrize(
    "read", [broker_control._body, lambda request: guard.body_of(request, ConsoleLimits())]
)
async def test_the_doors_of_broker_and_console_tell_who_left(
    read: Callable[[Request], Awaitable[bytes]],
) -> None:
    with pytest.raises(Malformed) as left:
        await read(Request({"type": "http", "method": "POST", "headers": []}, leaving()))
    assert left.value.code == "http.left"


def leaving() -> Callable[[], Awaitable[Any]]:
    """A client that sends the beginning of a body, and goes."""
    messages: list[Any] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return messages.pop(0)

    return receive
