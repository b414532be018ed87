"""What people are told of tools while the server runs."""

from __future__ import annotations

import logging
import math
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import pytest

from answerable.adapters.sqlite import SqliteRegistryStore, SqliteToolPinRegister
from answerable.flows.registry.follow_registers import follow_registers
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.registers import elsewhere, fresh
from answerable.wiring.following import following_registry
from tests.probes.waiting import until
from tests.worlds.tool import described, described_by, describing

pytestmark = pytest.mark.anyio


@dataclass
class Connected:
    """The upstreams, as far as who follows the registry asks them. generation: another one says that a server told its
    tools anew; asked: how often that was looked at."""

    told_anew: int = 0
    asked: list[int] = field(default_factory=list)
    applied: list[list[str]] = field(default_factory=list)

    @property
    def generation(self) -> int:
        self.asked.append(self.told_anew)
        return self.told_anew

    def expect(self, servers: Any) -> None:
        """Nothing: it connects to none."""

    def apply(self, servers: Any) -> None:
        self.applied.append([one.name for one in servers])


@pytest.mark.requirement("TOOL-01")
async def test_a_definition_that_is_not_let_through_is_told_once_as_long_as_it_stays_so(caplog):
    bench = Bench(pins=fresh(SqliteToolPinRegister))
    describing(bench, get_case=described(), refund=described("refund"))
    await bench.registered()
    upstream = Connected()

    async def told(anew: int) -> list[str]:
        """What is said once a server told its tools anew."""
        caplog.clear()
        upstream.told_anew = anew
        # The second time that it is looked at, all was said that follows from the first.
        await until(lambda: upstream.asked.count(anew) >= 2)
        return [one.getMessage() for one in caplog.records if "answerable tool diff" in one.getMessage()]

    with caplog.at_level(logging.WARNING):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                partial(
                    following_registry,
                    bench.walk.planning,
                    bench.walk.policies,
                    bench.walk.live.leases,
                    bench.walk.limits,
                    upstream,
                    look_seconds=0.05,
                )
            )
            first = await told(0)
            assert ["get_case" in first[0], "refund" in first[1]] == [True, True]
            assert await told(1) == []
            described_by(bench).says["get_case"] = described(description="another")
            (again,) = await told(2)
            assert "`answerable tool diff crm get_case`" in again
            assert await told(3) == []
            tasks.cancel_scope.cancel()


@pytest.mark.requirement("HOUSE-33")
async def test_documents_that_another_process_applied_are_followed_without_a_look():
    bench, there = Bench(), Bench()
    await bench.registered()
    upstream = Connected()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            partial(
                following_registry,
                bench.walk.planning,
                bench.walk.policies,
                bench.walk.live.leases,
                bench.walk.limits,
                upstream,
                look_seconds=math.inf,
            )
        )
        await anyio.sleep(0.01)
        assert upstream.applied == []
        with closing(elsewhere(bench.store)) as store:
            there.walk.authority.registry = SqliteRegistryStore(store)
            await there.registered([*bench_documents(), another_server()])
        assert follow_registers(
            bench.authority.registry,
            bench.counters.history,
            bench.walk.policies,
            bench.walk.limits,
            bench.store.refresh,
        )
        await until(lambda: upstream.applied)
        tasks.cancel_scope.cancel()
    assert upstream.applied == [["crm", "erp"]]


@pytest.mark.requirement("HOUSE-33")
async def test_documents_that_were_applied_here_are_followed_without_a_look():
    bench = await Bench().registered()
    upstream = Connected()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            partial(
                following_registry,
                bench.walk.planning,
                bench.walk.policies,
                bench.walk.live.leases,
                bench.walk.limits,
                upstream,
                look_seconds=math.inf,
            )
        )
        await anyio.sleep(0.01)
        await bench.registered([*bench_documents(), another_server()])
        await until(lambda: upstream.applied)
        tasks.cancel_scope.cancel()
    assert upstream.applied == [["crm", "erp"]]


def another_server() -> Any:
    (one,) = [one for one in bench_documents() if one["kind"] == "Server"]
    return {**one, "metadata": {"name": "erp"}}
