"""Calls of one task at a real database that come at once: one lease, and sessions of it in turns."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from answerable.errors import AnswerableError
from answerable.flows.leases.lease_desk import DeskTarget, LeaseLimits
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.leases.revoke_lease import end_within
from tests.worlds.lease import LeaseWorld, quiet, warrant
from tests.worlds.postgres import WallClock
from tests.worlds.sql import on_each, servers

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LEASE-18")]

CALLS = 8


@pytest.fixture(scope="module")
def server_of():
    with servers() as running:
        yield running


@pytest.fixture
def server(database, server_of):
    return server_of(database)


@on_each(postgres=pytest.mark.requirement("PG-01"), mariadb=pytest.mark.requirement("MARIADB-01"))
async def test_more_calls_than_a_lease_has_sessions_wait_for_their_turn(database, server):
    built = database.world.built(server)
    world = LeaseWorld(clock=WallClock())
    told: list[str] = []
    limits = LeaseLimits()
    one = DeskTarget.of(built.issuer, built.target, limits, sessions_max=built.sessions_max)
    async with world.broker(limits, targets={"one": one}) as desk:
        now = world.clock.now()

        async def call(number: int) -> None:
            asked = warrant(number, name=1, window="task", now=now)
            asked = replace(asked, lease=replace(asked.lease, scope=database.reading()))
            sql = f"SELECT count(*) FROM {database.customers}"
            try:
                performed, _ = await perform_leased(desk, asked, "query", {"sql": sql})
                told.append("failed" if performed.result["isError"] else "done")
            except AnswerableError as error:
                told.append(f"{error.code}: {error.message}")

        for first in (0, CALLS, 2 * CALLS):
            async with anyio.create_task_group() as tasks:
                for number in range(CALLS):
                    tasks.start_soon(call, first + number + 1)
        assert told == ["done"] * 3 * CALLS
        assert not desk.turns
        end_within(desk, [("mandate", "m-1")], why="over")
        await quiet(desk)
        assert await built.issuer.live() == ()
    await built.issuer.close()
