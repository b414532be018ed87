"""64 actions of one agent at a time on a real PostgreSQL, through gateway and broker."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from answerable.core.lease.name import lease_name
from answerable.core.ledger.tags import Tag
from tests.probes.postgres_tap import asking_server, tapped
from tests.stand_ins.postgres_server import PostgresServer
from tests.worlds.brokered import support_desk
from tests.worlds.incident import an_agent, was_done

pytestmark = pytest.mark.anyio
AT_A_TIME = 64
SQL = "SELECT $1::int, current_user, count(*) FROM support_messages"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with asking_server() as running:
        yield running


@pytest.mark.requirement("SCEN7-08")
async def test_64_actions_at_a_time_have_an_account_each_and_leave_none(tmp_path, server):
    async with tapped(server) as tap, support_desk(tmp_path, server, port=tap.port) as desk:
        key = await an_agent(desk)
        said = await asyncio.gather(*(desk.query(key, SQL, number) for number in range(AT_A_TIME)))
        failed = [one["text"] for one in said if not was_done(one)]
        assert not failed, (len(failed), failed[0])
        rows = [one["result"]["structuredContent"]["rows"][0] for one in said]
        assert [row[0] for row in rows] == list(range(AT_A_TIME)), "each has its own answer"
        assert {row[2] for row in rows} == {10}, "and sees the rows of its case alone"
        actions = [one["result"]["_meta"]["answerable/action"] for one in said]
        accounts = [f"ans_{lease_name(bytes.fromhex(one))}" for one in actions]
        assert [row[1] for row in rows] == accounts, "each was done by the account of its own lease"
        assert sorted(one.account for one in tap.logins) == sorted(accounts)
        # With the answers they are gone: from the server, from the broker, and for whoever took the passwords.
        assert await tap.accounts() == []
        assert await desk.leases() == []
        assert not any(await asyncio.gather(*map(tap.lets_in, tap.logins)))
        [policies] = await server.run(
            "SELECT count(*) FROM pg_policies WHERE tablename = 'support_messages'", "prod"
        )
        assert policies["count"] == 1, "the rules about rows that were made for them, too"
        await desk.home.stop(signal.SIGTERM)
        named = {one["action"]: one["lease"] for one in desk.home.entries(Tag.INTENT)}
        assert {f"ans_{named[one]}" for one in actions} == set(accounts)
        outcomes = [one for one in desk.home.entries(Tag.OUTCOME) if one["action"] in set(actions)]
        assert len({one["session"]["pg_session"] for one in outcomes}) == AT_A_TIME
