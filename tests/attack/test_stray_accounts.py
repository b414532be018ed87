"""Accounts of ours at targets that no open lease explains."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import LeaseOrder, Revoked
from answerable.core.lease.name import lease_name
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.leases.revoke_lease import end_lease
from answerable.flows.leases.settle_leases import Stray, find_strays
from tests.attack.test_leases import ARGUMENTS, a_world
from tests.worlds.lease import SCOPE, warrant

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("LEASE-09")
async def test_accounts_of_nobodys_are_told_and_those_on_record_as_gone_are_taken_away():
    world, target = a_world()
    async with world.broker() as desk:
        _, gone = await perform_leased(desk, warrant(1, now=world.clock.now()), "get", ARGUMENTS)
        other = lease_name((99).to_bytes(16, "big"))
        for name in (gone.name, other):
            await target.issue(
                LeaseOrder(name=name, scope=SCOPE, expires_at=UnixMillis(world.clock.now() + 60_000))
            )
        strays, faults = await find_strays(desk)
        assert sorted(strays) == sorted([Stray("one", gone.name, True), Stray("one", other, False)])
        assert faults == {}
        assert await target.live() == (other,)
        target.reachable = False
        assert await find_strays(desk) == ([], {"one": "the target cannot be reached"})


@pytest.mark.requirement("LEASE-09")
async def test_what_works_on_as_its_end_said_is_no_stray_until_then():
    world, target = a_world()
    async with world.broker() as desk:
        _, lease = await perform_leased(
            desk, warrant(1, window="task", now=world.clock.now()), "get", ARGUMENTS
        )
        until = world.clock.now() + 60_000

        async def lives_on(_: object) -> Revoked:
            return Revoked(left=("its token",), live_until=until)

        target.revoke = lives_on
        ended = await end_lease(desk, lease.name, why="held")
        assert (ended.state, ended.live_until) == ("ended", until)
        assert await target.live() == (lease.name,)
        assert await find_strays(desk) == ([], {})
        world.clock.advance(61)
        assert await find_strays(desk) == ([Stray("one", lease.name, True)], {})
