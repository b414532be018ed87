"""An agent on a real Redis, through the real server and its broker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.stand_ins.redis_server import ADMIN_PASSWORD, RunningRedis, redis_server
from tests.worlds.brokered import Desk, capability, desk_on

pytestmark = pytest.mark.anyio

CAPABILITIES = (
    capability(
        "case.read",
        "read",
        "read",
        texts=["command"],
        keys=[{"prefix": "case:7:", "access": "read"}],
        commands=["get"],
    ),
    capability(
        "case.write",
        "command",
        "write",
        texts=["command"],
        window="task",
        keys=[{"prefix": "case:7:", "access": "both"}],
        commands=["get", "set"],
    ),
)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRedis]:
    with redis_server() as running:
        running.as_operator("SET", "case:7:note", "seven")
        running.as_operator("SET", "case:8:note", "eight")
        yield running


@asynccontextmanager
async def desk_of(root: Path, server: RunningRedis) -> AsyncIterator[Desk]:
    target = f'kind = "redis"\naddress = "{server.address}"\npassword = "file:redis-password"\n'
    secrets = {"redis-password": ADMIN_PASSWORD}
    async with desk_on(root, target=target, secrets=secrets, capabilities=CAPABILITIES) as desk:
        yield desk


def users(server: RunningRedis) -> list[str]:
    """Of leases, as an administrator of the server sees them."""
    words = server.as_operator("ACL", "USERS").decode().split("\r\n")
    return [word for word in words if word.startswith("ans_")]


@pytest.mark.requirement("REDIS-07")
async def test_an_agent_reads_its_case_by_a_user_that_is_gone_with_the_answer(tmp_path, server):
    async with desk_of(tmp_path, server) as desk:
        key = await desk.agent()
        done = await desk.does_call(key, "read", command="get", arguments=["case:7:note"])
        assert done["result"]["structuredContent"] == {"reply": "seven", "cut": False}, done["text"]
        assert users(server) == []
        refused = await desk.does_call(key, "read", command="get", arguments=["case:8:note"])
        assert refused["result"]["isError"]
        assert "No permissions to access a key" in refused["text"]
        log = server.as_operator("ACL", "LOG", "1").decode()
        assert "key" in log, "the server itself has refused it"
        assert "ans_" in log
        session = await desk.session_of(done)
        assert re.fullmatch(r"id=\d+ addr=127\.0\.0\.1:\d+", session["redis_client"])
        assert ADMIN_PASSWORD.encode() not in desk.shown("redis-password")


@pytest.mark.requirement("REDIS-07")
async def test_when_a_task_ends_its_user_is_gone(tmp_path, server):
    async with desk_of(tmp_path, server) as desk:
        key = await desk.agent()
        for value in ("one", "two"):
            done = await desk.does_call(key, "command", command="set", arguments=["case:7:note", value])
            assert not done["result"]["isError"], done["text"]
        (lease,) = await desk.leases()
        assert users(server) == [lease["account"]]
        await desk.ends_task()
        assert users(server) == []
