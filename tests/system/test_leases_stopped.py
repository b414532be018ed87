"""A stop while a task window is open at a real PostgreSQL: what becomes of its credential, session and action."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from datetime import datetime

import asyncpg
import pytest

from answerable.sdk.keyfile import create_key
from tests.probes.postgres_tap import DONE, asking_server, tapped
from tests.stand_ins.postgres_server import PostgresServer
from tests.worlds.brokered import support_desk
from tests.worlds.incident import an_agent, was_done

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE support_messages SET body = 'seen' WHERE id = 1"
WAITING = "UPDATE support_messages SET body = 'late' WHERE id = 2 AND pg_advisory_lock_shared(7) IS NOT NULL"
CUT_SECONDS_MAX = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with asking_server() as running:
        yield running


async def last_use(session: asyncpg.Connection) -> float:
    """When the server last did something in it, Unix seconds; returns once it does nothing any more."""
    last = 0.0
    ends = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
    with contextlib.suppress(*ends):
        while True:
            await session.fetchval("SELECT count(*) FROM support_messages")
            last = time.time()
            await asyncio.sleep(0.01)
    return last


@pytest.mark.requirement("SCEN7-07")
async def test_a_stop_ends_an_open_task_window_with_its_session_and_the_credential_at_the_server(
    tmp_path, server
):
    async with tapped(server) as tap, support_desk(tmp_path, server, port=tap.port) as desk:
        key = await an_agent(desk)
        assert was_done(await desk.calls(key, "execute", UPDATE))
        async with tap.held_up() as waits:
            flying = asyncio.create_task(desk.calls(key, "execute", WAITING))
            await asyncio.wait_for(waits.wait(), 60)
            login = tap.logins[-1]
            assert {one.account for one in tap.logins} == {login.account}, "one task, one account"
            assert await tap.accounts() == [login.account]
            # Somebody took the credential, and is in.
            thief = await tap.connect(login)
            assert await thief.fetchval("SELECT count(*) FROM support_messages") == 50
            using = asyncio.create_task(last_use(thief))
            told = await desk.command("stop", "scout", "--reason", "it answers nonsense", "--json")
            report = told["report"]
            held_at = datetime.fromisoformat(told["hold"]["at"]).timestamp()
            said = await asyncio.wait_for(flying, 30)
            assert await asyncio.wait_for(using, 30) - held_at < CUT_SECONDS_MAX
        assert not was_done(said)
        assert not await tap.lets_in(login)
        assert await server.run(f"SELECT 1 FROM pg_stat_activity WHERE usename = '{login.account}'") == []
        assert await tap.accounts() == []
        assert await desk.leases() == []
        rows = await server.run(
            "SELECT id, body FROM public.support_messages WHERE id < 3 ORDER BY id", "prod"
        )
        assert [row["body"] for row in rows] == ["seen", "body 2"], "what was cut was not done"
        # The report names it, and nothing of it is live.
        assert report["stopped"]["leases"] == [login.lease]
        assert [one["capability"] for one in report["in_flight"]] == ["case.answer"]
        assert not [one for one in report["live"] if one["kind"] == "credential"]
        assert report["started_after_count"] == 0
        # What was the agent proves itself no more, and comes to nothing.
        refused = await desk.asked(key, "tools/call", "execute", sql=UPDATE)
        assert refused["status"] == 401
        again = create_key(tmp_path / "again.jwk", seed=os.urandom(32))
        assert not await desk.is_let_in(again)
        count = len(tap.logins)
        assert await tap.used(login, UPDATE) != DONE
        assert len(tap.logins) == count
        for _ in range(100):
            story = (await desk.command("timeline", desk.mandate, "--json"))["lines"]
            told = [one["text"] for one in story if one["kind"] == "lease" and login.lease in one["text"]]
            if told and "revoked" in told[-1]:
                break
        assert "revoked" in told[-1], story
