"""What people are told of tools while the server runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from answerable.adapters.sqlite import SqliteToolPinRegister
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from answerable.wiring.following import following_registry
from tests.probes.waiting import until
from tests.worlds.tool import described, described_by, describing

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("TOOL-01")]


@dataclass
class Connected:
    """The upstreams, as far as who follows the registry asks them. generation: another one says that a server told its
    tools anew; asked: how often that was looked at."""

    told_anew: int = 0
    asked: list[int] = field(default_factory=list)

    @property
    def generation(self) -> int:
        self.asked.append(self.told_anew)
        return self.told_anew

    def apply(self, servers: Any) -> None:
        return


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
            tasks.start_soon(following_registry, bench.walk, upstream)
            first = await told(0)
            assert ["get_case" in first[0], "refund" in first[1]] == [True, True]
            assert await told(1) == []
            described_by(bench).says["get_case"] = described(description="another")
            (again,) = await told(2)
            assert "`answerable tool diff crm get_case`" in again
            assert await told(3) == []
            tasks.cancel_scope.cancel()
