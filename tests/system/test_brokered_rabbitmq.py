"""An agent on a real RabbitMQ, through the real server and its broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from answerable.core.canonical import JSONValue
from tests.stand_ins.rabbitmq_server import ADMIN_PASSWORD, VHOST, RunningRabbit, session_rabbitmq
from tests.worlds.brokered import Desk, capability, desk_on

pytestmark = pytest.mark.anyio

CASE_7: JSONValue = [{"exchange": "cases", "routing_keys": [{"prefix": "case.7."}]}]
CAPABILITIES = (
    capability("case.note", "publish", "write", texts=["exchange", "routing_key", "message"], publish=CASE_7),
    capability(
        "case.take", "get", "delete", texts=["queue", "mode"], window="task", get=[{"queue": "inbox"}]
    ),
)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRabbit]:
    with session_rabbitmq() as running:
        yield running


@asynccontextmanager
async def desk_of(root: Path, server: RunningRabbit) -> AsyncIterator[Desk]:
    target = (
        f'kind = "rabbitmq"\naddress = "{server.address}"\nmanagement = "{server.management}"\n'
        f'vhost = "{VHOST}"\npassword = "file:rabbitmq-password"\n'
    )
    secrets = {"rabbitmq-password": ADMIN_PASSWORD}
    async with desk_on(root, target=target, secrets=secrets, capabilities=CAPABILITIES) as desk:
        yield desk


def users(server: RunningRabbit) -> list[str]:
    """Of leases, as an administrator of the server sees them."""
    names = [one["name"] for one in server.as_operator("GET", "/api/users").json()]
    return [name for name in names if name.startswith("ans_")]


def looked_at(server: RunningRabbit) -> list[dict[str, Any]]:
    """The messages of the inbox, which stay there."""
    how = {"count": 10, "ackmode": "ack_requeue_true", "encoding": "auto"}
    found: list[dict[str, Any]] = server.as_operator("POST", f"/api/queues/{VHOST}/inbox/get", how).json()
    return found


@pytest.mark.requirement("RABBIT-07")
async def test_an_agent_sends_its_message_by_a_user_that_is_gone_with_the_answer(tmp_path, server):
    async with desk_of(tmp_path, server) as desk:
        key = await desk.agent()
        note = {"exchange": "cases", "routing_key": "case.7.note", "message": "seen"}
        done = await desk.does_call(key, "publish", **note)
        assert not done["result"]["isError"], done["text"]
        (message,) = looked_at(server)
        assert message["payload"] == "seen"
        assert message["properties"]["user_id"] == desk.account_of(done), "which the server checks"
        assert message["properties"]["message_id"] == desk.action_of(done)
        assert users(server) == []
        for other in ({"routing_key": "case.8.note"}, {"exchange": "others"}):
            refused = await desk.does_call(key, "publish", **{**note, **other})
            assert refused["result"]["isError"], other
            assert "ACCESS_REFUSED" in refused["text"], "by the server itself"
        session = await desk.session_of(done)
        assert session["rabbitmq_connection"].endswith(f" -> 127.0.0.1:{server.port}")
        logged = (server.folder / "log").glob("*.log")
        assert any(session["rabbitmq_connection"] in one.read_text() for one in logged)
        assert ADMIN_PASSWORD.encode() not in desk.shown("rabbitmq-password")


@pytest.mark.requirement("RABBIT-07")
async def test_when_a_task_ends_its_user_is_gone(tmp_path, server):
    async with desk_of(tmp_path, server) as desk:
        key = await desk.agent()
        for _ in range(2):
            done = await desk.does_call(key, "get", queue="inbox", mode="take")
            assert not done["result"]["isError"], done["text"]
        (lease,) = await desk.leases()
        assert users(server) == [lease["account"]]
        await desk.ends_task()
        assert users(server) == []
