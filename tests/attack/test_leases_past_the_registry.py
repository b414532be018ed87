"""Leases that were open when the registry took away what they stand on: the broker is told to end them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from answerable.core.lease.lease import Lease
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.end_leases import follow_leases
from answerable.flows.state.lease_side import LeaseSide
from answerable.testing.builders import Bench
from answerable.wiring.following import following_registry
from tests.attack.test_brokered_walk import AskedBroker, a_bench, documents
from tests.worlds.parts import to_apply

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LEASE-17")]


class NothingConnected:
    """The upstreams, as far as who follows the registry asks them."""

    generation = 0

    def expect(self, servers: Any) -> None:
        """Nothing: it connects to none."""

    def apply(self, servers: Any) -> None:
        return


class PagedBroker(AskedBroker):
    """Port LeaseBroker that gives one page of leases, and has no news."""

    async def leases(self, which: str, limit: int, *, after: str = "") -> list[Lease]:
        return [] if after else await super().leases(which, limit)

    async def changes(self, *_: Any, **__: Any) -> Any:
        await anyio.sleep_forever()


async def an_open_lease() -> tuple[Bench, AskedBroker, Lease]:
    bench, watching, _ = await a_bench(window="task")
    bench.live.leases = LeaseSide(broker="broker", asks=(broker := PagedBroker()))
    await bench.act()
    brokered = watching.warrants[0].brokered
    now, ends = bench.clock.now(), brokered.terms.expires_at
    lease = Lease(
        name=brokered.terms.name, target="crm-db", window="task", log=bench.recorder.ledger.origin, intent=0,
        mandate="m-1", agent="scout", capability="crm.read", under=brokered.under, scope="", named_at=now,
        expires_at=ends,
    ).issued(now, account="ans", expires_at=ends)  # fmt: skip
    broker.held = [lease]
    return bench, broker, lease


def changed(kind: str, name: str, **spec: Any) -> list[Any]:
    """The documents of the bench, one of them changed."""
    found = documents(window="task")
    (one,) = [one for one in found if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    one["spec"] |= spec
    return found


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (changed("Agent", "scout", status="suspended"), "its agent is not active"),
        (changed("Principal", "alice", status="disabled"), ""),
    ],
    ids=["agent suspended", "owner and giver disabled"],
)
async def test_a_lease_ends_with_what_the_registry_takes_away(changes, why):
    bench, broker, lease = await an_open_lease()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            follow_leases, bench.recorder, bench.authority, bench.live.leases, bench.walk.policies
        )
        tasks.start_soon(
            following_registry,
            bench.walk.planning,
            bench.walk.policies,
            bench.walk.live.leases,
            bench.walk.limits,
            NothingConnected(),
        )
        while bench.live.leases.owed_all:  # noqa: ASYNC110 - what is waited for has no event
            await anyio.sleep(0.01)
        assert broker.asked == [], "it stands so far"
        await apply_registry(*to_apply(bench.walk), changes, by="operator")
        with anyio.fail_after(5):
            while not broker.asked:  # noqa: ASYNC110 - likewise
                await anyio.sleep(0.01)
        ((names, said),) = broker.asked
        assert names == [("credential", lease.name)]
        assert said == why or not why
        tasks.cancel_scope.cancel()
