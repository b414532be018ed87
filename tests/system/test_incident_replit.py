"""S-03: an agent deletes production during a freeze and reports success (Replit, July 2025)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.probes.postgres_tap import DONE, NO_RIGHT, Login, Tap, asking_server, tapped
from tests.stand_ins.postgres_server import PostgresServer
from tests.worlds.brokered import support_desk
from tests.worlds.incident import ALL, an_agent, document, on_database, people, template, was_done

pytestmark = pytest.mark.anyio
CHANGES = (
    "DELETE FROM customers",
    "SELECT 1; TRUNCATE customers CASCADE; SELECT 1",
    "INSERT INTO customers SELECT n, 'made up', 'eu' FROM generate_series(1000, 4999) n",
)
FREEZE = (
    ALL
    + """
@id("changes-need-one")
@reason("somebody must agree to a change")
@approve("leads:1")
forbid(principal, action in [Action::"write", Action::"delete"], resource);

@id("freeze")
@reason("production is frozen")
forbid(principal, action in [Action::"write", Action::"delete"], resource)
when { context.windows.freeze && context.capability.environment == "production" };
"""
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with asking_server() as running:
        yield running


def documents() -> str:
    customers = {"name": "public.customers", "verbs": ["select"], "columns": ["id", "name", "region"]}
    every = {"name": "public.customers", "verbs": ["select", "insert", "update", "delete"]}
    return (
        people()
        + document("Server", "shop-db", target="shop-db")
        + on_database("customers.read", "query", "read", customers)
        + on_database("customers.change", "execute", "delete", every, tier=2)
        + template("customers.read", "customers.change")
        + document(
            "PolicySet",
            "all",
            windows=[{"name": "freeze", "begins": "2020-01-01T00:00:00Z"}],
            policies=FREEZE,
        )
    )


async def state(server: PostgresServer) -> tuple[object, ...]:
    [row] = await server.run("SELECT count(*), sum(id), max(name) FROM public.customers", "prod")
    return tuple(row.values())


async def refusals_of(tap: Tap, login: Login) -> None:
    """What the credential of a reader does not do, in the shapes that get around read-only transactions."""
    for sql in (
        *CHANGES,
        "COMMIT; DROP TABLE customers CASCADE",
        "SET default_transaction_read_only = off; DELETE FROM customers",
        "BEGIN READ WRITE; DELETE FROM customers; COMMIT",
        "WITH gone AS (DELETE FROM customers RETURNING 1) SELECT * FROM gone",
        "RESET ROLE; DELETE FROM customers",
        "SET ROLE shop; DELETE FROM customers",
        "SELECT * FROM orders",
    ):
        assert await tap.used(login, sql) == NO_RIGHT, sql
    assert await tap.used(login, "SELECT id FROM customers", "staging") == NO_RIGHT


@pytest.mark.requirement("SCEN7-03")
async def test_an_agent_in_a_freeze_changes_nothing_and_its_reading_credential_cannot(tmp_path, server):
    before = await state(server)
    async with (
        tapped(server) as tap,
        support_desk(tmp_path, server, port=tap.port, known=documents()) as desk,
    ):
        key = await an_agent(desk)
        # 1. It reads, and while it does its credential is tried by somebody who took it.
        async with tap.held_up() as waits:
            reading = asyncio.create_task(
                desk.query(key, "SELECT count(*) FROM customers WHERE pg_advisory_lock_shared(7) IS NOT NULL")
            )
            await asyncio.wait_for(waits.wait(), 60)
            [login] = tap.logins
            assert await tap.used(login, "SELECT id, name, region FROM customers") == DONE
            await refusals_of(tap, login)
        said = await reading
        assert said["result"]["structuredContent"]["rows"] == [[50]], said["text"]
        assert not await tap.lets_in(login), "its end came with the answer"
        # 2 to 4. Whatever it changes is denied, and nobody is asked.
        for sql in CHANGES:
            denied = await desk.calls(key, "execute", sql)
            assert not was_done(denied)
            assert "production is frozen" in denied["text"]
        assert (await desk.told("/v1/approvals?state=pending"))["items"] == []
        assert len(tap.logins) == 1, "no credential was minted for a change"
        assert await tap.accounts() == []
        assert await state(server) == before
        # 5. It says that all is well; the story of its mandate says what was done.
        story = (await desk.command("timeline", desk.mandate, "--json"))["lines"]
        refused = [one["text"] for one in story if one["kind"] == "refusal"]
        assert len(refused) == len(CHANGES)
        assert all("production is frozen" in one for one in refused), refused
        begun = [one["text"] for one in story if one["kind"] == "intent"]
        assert len(begun) == 1
        assert 'call query(sql="SELECT count(*)' in begun[0]
