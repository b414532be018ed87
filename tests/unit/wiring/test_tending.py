"""The trust domain of a process of which there are several."""

from __future__ import annotations

import math
from contextlib import closing
from functools import partial

import anyio
import pytest

from answerable.adapters.sqlite import SqliteAuthorityRegister
from answerable.flows.registry.follow_registers import follow_registers
from answerable.flows.trust_domain.tell_watchers import Watchers
from answerable.flows.workloads.change_authorities import AuthorityChanges
from answerable.testing.builders import Bench
from answerable.testing.registers import elsewhere
from answerable.wiring.identity import tending
from tests.probes.waiting import until
from tests.worlds.trust import FOREIGN, TrustWorld, active_of

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("HOUSE-33")
async def test_authorities_that_another_process_removed_are_followed_without_a_look():
    bench, news = await Bench().registered(), Watchers()
    register = SqliteAuthorityRegister(bench.store)
    register.follow(news.tell)
    world = TrustWorld(register=register, clock=bench.clock)
    desk = world.desk()
    foreign = TrustWorld(domain=FOREIGN, clock=bench.clock).desk().bundle(FOREIGN)
    assert foreign is not None
    authorities = AuthorityChanges(bench.walk.recorder, desk)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(tending, authorities, news, seconds=math.inf))
        with closing(elsewhere(bench.store)) as store:
            world.register = SqliteAuthorityRegister(store)
            there = world.desk()
            await anyio.wait_all_tasks_blocked()
            removed = active_of(there)
            there.remove(removed)
            follow_registers(
                bench.authority.registry,
                bench.counters.history,
                bench.walk.policies,
                bench.walk.limits,
                bench.store.refresh,
            )
            await until(lambda: active_of(desk) != removed)
            there.set_federated(foreign)
            follow_registers(
                bench.authority.registry,
                bench.counters.history,
                bench.walk.policies,
                bench.walk.limits,
                bench.store.refresh,
            )
            await until(lambda: desk.bundle(FOREIGN) is not None)
            there.drop_federated(FOREIGN)
            bench.walk.verification.worlds.epoch()
            await until(lambda: desk.bundle(FOREIGN) is None)
        tasks.cancel_scope.cancel()
