"""What is said while the broker cannot be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from answerable.errors import Unavailable
from answerable.flows.revocation import end_leases
from answerable.flows.state.lease_side import LeaseSide
from answerable.testing.builders import Bench, bench_documents

if TYPE_CHECKING:
    from answerable.wiring.walk import Walk

pytestmark = pytest.mark.anyio


KINDS = ("Principal", "UseCase", "Server")


class Away:
    """Port LeaseBroker: nobody is there. asked: how often."""

    def __init__(self) -> None:
        self.asked = 0

    async def changes(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        raise Unavailable("the broker cannot be reached", code="broker.unreachable", port="lease_broker")

    async def leases(self, *_: Any, **__: Any) -> Any:
        raise Unavailable("the broker cannot be reached", code="broker.unreachable", port="lease_broker")


async def a_walk(away: Away) -> Walk:
    documents: list[Any] = [one for one in bench_documents() if one["kind"] in KINDS]
    for one in documents:
        if one["kind"] == "Server":
            one["spec"] = {"target": "crm-db"}
    bench = await Bench().registered(documents)
    bench.live.leases = LeaseSide(broker="broker", asks=away)
    return bench.walk


async def test_a_broker_that_is_only_starting_is_no_news_and_one_that_stays_away_is(monkeypatch, caplog):
    monkeypatch.setattr(end_leases, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(end_leases, "RETRY_SECONDS_MAX", 0.002)
    monkeypatch.setattr(end_leases, "STARTING_SECONDS", 1000.0)
    away = Away()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            walk = await a_walk(away)
            given = walk.recorder, walk.authority, walk.live.leases, walk.policies
            tasks.start_soon(end_leases.follow_leases, *given)
            while away.asked < 5:  # noqa: ASYNC110 - what is waited for has no event
                await anyio.sleep(0.001)
            assert "written down" not in caplog.text
            monkeypatch.setattr(end_leases, "STARTING_SECONDS", 0.0)
            while "written down" not in caplog.text:  # noqa: ASYNC110 - likewise
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
