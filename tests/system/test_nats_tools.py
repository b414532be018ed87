"""What NATS tools alone do with a lease, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from nats.aio.msg import Msg

from answerable.adapters.nats_users import (
    NatsIssuer,
    NatsServer,
    NatsTarget,
)
from answerable.adapters.nats_users.target import TAG_HEADER
from answerable.core.lease.credential import Credential
from answerable.errors import Refused
from tests.stand_ins.nats_server import RunningNats, nats_server
from tests.worlds.nats_lease import (
    call,
    issuer_on,
    order,
    settled,
    user,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[RunningNats]:
    with nats_server() as running:
        yield running


@pytest.fixture
async def issuer(server):
    async with issuer_on(server) as made:
        yield made


@pytest.fixture
async def credential(issuer: NatsIssuer) -> AsyncIterator[Credential]:
    made = await issuer.issue(order())
    yield made
    await issuer.revoke(made.lease)


@pytest.mark.requirement("NATS-05")
async def test_a_message_carries_the_action_that_sent_it(server, credential):
    async with user(server) as somebody:
        heard = await somebody.subscribe("case.7.*")
        await settled(somebody)
        done = await call(server, credential, "publish", "case.7.note", "x\r\nPUB case.8.note 0\r\n\r\n")
        message = await heard.next_msg(timeout=2)
    assert done.result == {
        "content": [{"type": "text", "text": "published"}],
        "structuredContent": {"published": True},
        "isError": False,
    }
    assert (message.data, message.headers) == (b"x\r\nPUB case.8.note 0\r\n\r\n", {TAG_HEADER: "an-action"})


@pytest.mark.requirement("NATS-05")
async def test_what_the_server_refuses_is_told_and_not_waited_for(server, credential):
    for tool in ("publish", "request"):
        # Waited for, it would take an hour.
        with anyio.fail_after(60):
            done = await call(server, credential, tool, "case.8.note", seconds=3_600)
        assert done.result["isError"]
        assert "permissions violation" in str(done.result["content"]).lower()
    nobody = await call(server, credential, "request", "nobody")
    assert "nobody answers" in str(nobody.result["content"])
    assert nobody.result["isError"]


@pytest.mark.requirement("NATS-05")
async def test_answers_are_returned_and_cut_at_their_bound(server, credential):
    async def answered(message: Msg) -> None:
        await message.respond(
            {b"big": b"b" * 5000, b"half": "ä".encode() * 3000, b"raw": b"\xff"}[message.data]
        )

    async with user(server) as somebody:
        await somebody.subscribe("ask.7", cb=answered)
        await settled(somebody)
        replies = {
            word: (await call(server, credential, "request", "ask.7", word, bytes_max=4095)).result[
                "structuredContent"
            ]
            for word in ("big", "half", "raw")
        }
    assert replies["big"] == {"reply": "b" * 4095, "cut": True, "bytes": 5000}
    assert replies["half"] == {"reply": "ä" * 2047, "cut": True, "bytes": 6000}
    assert replies["raw"] == {"reply": {"base64": "/w=="}, "cut": False, "bytes": 1}


@pytest.mark.requirement("NATS-05")
async def test_an_action_whose_id_would_be_more_than_a_header_is_refused(server, credential):
    async with NatsTarget(NatsServer(address=server.address)).connected(credential) as session:
        with pytest.raises(Refused):
            await session.perform("publish", {"subject": "case.7.a"}, tag="t\r\nX: y", seconds_max=5)
