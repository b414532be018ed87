"""What a gateway hears of leases, and what a broker is told, when one of them was away, lost its memory, or got another
registry meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest

from answerable.adapters.broker_http import HttpLeaseBroker
from answerable.apps.broker.control import RECALLED
from answerable.core.containment.hold import Hold, HoldId, HoldTarget
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Revoked
from answerable.core.lease.name import lease_name
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Unavailable
from answerable.flows.leases.lease_credential import _named
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.revocation.end_leases import end_leases, follow_leases, leases_within
from answerable.flows.revocation.recall_leases import recall_leases
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.state.lease_side import LeaseSide
from answerable.ports.lease_broker import EndedLeases
from answerable.ports.lease_register import LeaseChange
from answerable.testing.registers import fresh_leases
from tests.attack.test_brokered_walk import a_bench, documents
from tests.worlds.broker_door import a_door
from tests.worlds.lease import LOG, quiet, until, warrant

pytestmark = pytest.mark.anyio


async def act(door: Any, *numbers: int) -> None:
    for number in numbers:
        one = warrant(number, now=door.world.clock.now())
        await perform_leased(door.desk, one, "get", {"key": "case-1"})
    await quiet(door.desk)


@pytest.mark.requirement("BROKER-08")
async def test_a_register_that_was_lost_and_has_grown_since_is_told_apart(tmp_path):
    """By the number of its changes alone it would pass for the one that the gateway knows."""
    async with a_door(tmp_path) as door:
        asks = HttpLeaseBroker(door.socket)
        await act(door, 1)
        await asks.changes(LOG, 0, wait_seconds=0)
        last, _ = await asks.changes(LOG, 0, wait_seconds=0)
        known = door.desk.register
        door.desk.register = door.world.register = fresh_leases()
        door.desk.writer._register = door.desk.register
        await act(door, 11, 12, 13)
        assert door.desk.register.last_change() > last
        said, changes = await asks.changes(LOG, last, wait_seconds=0)
        assert said < last
        assert changes == []
        # Nor is anything of it taken for written down, so that a gateway that starts anew hears all of it.
        assert door.desk.register.acknowledged(LOG) is None
        assert (await asks.changes(LOG, None, wait_seconds=0))[0] == 0
        said, changes = await asks.changes(LOG, 0, wait_seconds=0)
        assert len(changes) == 3
        assert known.last_change() == last


@pytest.mark.requirement("BROKER-08")
async def test_what_a_register_never_told_is_not_taken_for_written_down(tmp_path):
    async with a_door(tmp_path) as door:
        asks = HttpLeaseBroker(door.socket)
        await asks.changes(LOG, 0, wait_seconds=0)
        await act(door, 1)
        said, changes = await asks.changes(LOG, 1_000_000, wait_seconds=0)
        assert said < 1_000_000
        assert changes == []
        await act(door, 2)
        assert len((await asks.changes(LOG, None, wait_seconds=0))[1]) == 2


@pytest.mark.requirement("BROKER-03")
async def test_what_changes_while_the_feed_is_asked_is_not_passed_over(tmp_path):
    """A gateway that starts goes on from the number that it is told: what this number counts must come with it."""
    async with a_door(tmp_path) as door:
        asks, inner = HttpLeaseBroker(door.socket), door.desk.register
        await asks.changes(LOG, 0, wait_seconds=0)

        class Between:
            """A change comes between the two looks of one question."""

            late = False

            def __getattr__(self, name: str) -> Any:
                return getattr(inner, name)

            def changes(self, *asked: Any) -> Any:
                found = inner.changes(*asked)
                if not self.late:
                    self.late = True
                    inner.put([warrant_lease(door)])
                return found

        door.desk.register = Between()
        said, changes = await asks.changes(LOG, None, wait_seconds=0)
        door.desk.register = inner
        assert said == 0 or len(changes) == 1


def warrant_lease(door: Any) -> Any:
    return _named(warrant(5, now=door.world.clock.now()), door.world.clock.now())


@dataclass
class Crowded:
    """Port LeaseBroker as one that has more open leases than one list holds, or cannot list them."""

    asked: list[list[tuple[str, str]]] = field(default_factory=list)
    recalled: list[tuple[str, str]] = field(default_factory=list)

    async def end(self, names: Any, *, why: str, wait_seconds: float) -> EndedLeases:
        self.asked.append(list(names))
        return EndedLeases(ended=(), unrevoked=(), more=0)

    async def leases(self, which: str, limit: int, *, after: str = "") -> Any:
        raise Unavailable("more leases are open than are told", code="broker.too_many", port="lease_broker")

    heard: list[Any] = field(default_factory=list)

    async def changes(self, log: str, after: int | None, *, wait_seconds: float) -> Any:
        if not self.heard:
            await anyio.sleep_forever()
        return self.heard.pop()

    async def recall(self, log: str, named: Any) -> int:
        self.recalled += named
        return len(named)


@pytest.mark.requirement("LEASE-14")
async def test_what_is_owed_is_told_however_much_else_is_open():
    bench, _, _ = await a_bench()
    crowded = Crowded()
    side = bench.live.leases = LeaseSide(broker="broker", asks=crowded)
    side.owe({("agent", "scout"): "revoked"})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            follow_leases, bench.recorder, bench.authority, bench.live.leases, bench.walk.policies
        )
        with anyio.fail_after(5):
            await until(lambda: bool(crowded.asked))
        tasks.cancel_scope.cancel()
    assert crowded.asked == [[("agent", "scout")]]
    assert not side.owed
    assert side.owed_all


@pytest.mark.requirement("LEASE-14")
async def test_a_target_that_is_registered_no_more_is_stopped_all_the_same():
    bench, _, broker = await a_bench()
    await bench.act()
    await bench.registered(without_target())
    told = await end_leases(bench.authority.registry, bench.live.leases, [("agent", "scout")], why="held")
    assert not told.unreached
    assert broker.asked[-1] == ([("agent", "scout")], "held")


@pytest.mark.requirement("BROKER-08")
@pytest.mark.parametrize("after", ["gone", "another"])
async def test_a_lease_is_recalled_at_the_target_that_it_was_minted_at(after):
    """Another target knows nothing of it, says that it is gone, and would have it on record as ended."""
    bench, watching, _ = await a_bench()
    await bench.act()
    changed = without_target() if after == "gone" else documents()
    for one in changed:
        if one["kind"] == "Server" and after == "another":
            one["spec"] = {"target": "other-db"}
    await bench.registered(changed)
    broker = Crowded()
    side = bench.live.leases = LeaseSide(broker="broker", asks=broker)
    await recall_leases(bench.recorder.ledger, bench.authority.registry, bench.clock, side)
    assert broker.recalled == [(watching.warrants[0].lease_name, "crm-db")]
    assert bench.entries(Tag.INTENT)[0]["lease_target"] == "crm-db"


@pytest.mark.requirement("LEASE-06")
async def test_a_lease_that_was_minted_while_its_agent_was_revoked_is_ended_when_it_is_heard_of():
    """The broker was told before the warrant came, and had nothing to end; nobody would tell it again."""
    bench, _, _ = await a_bench(window="task")
    await bench.act()
    broker = Crowded()
    side = bench.live.leases = LeaseSide(broker="broker", asks=broker, owed_all=False)
    await revoke_authority(
        bench.recorder, bench.authority, bench.live, RevocationTarget("agent", "scout"), by="alice"
    )
    broker.asked.clear()
    now = bench.clock.now()
    named = replace(
        _named(warrant(7, window="task", now=now, under=(("mandate", "m-1"), ("agent", "scout"))), now),
        log=bench.recorder.ledger.origin, capability="crm.read",
    )  # fmt: skip
    late = named.issued(now, account=f"ans_{named.name}", expires_at=named.expires_at)
    other = replace(late, name=lease_name(bytes(16)), under=(("agent", "rover"),), mandate="")
    broker.heard = [(1, [LeaseChange(1, other), LeaseChange(2, late)])]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            follow_leases, bench.recorder, bench.authority, bench.live.leases, bench.walk.policies
        )
        with anyio.fail_after(5):
            await until(lambda: bool(broker.asked))
        tasks.cancel_scope.cancel()
    assert broker.asked == [[("credential", late.name)]]
    assert not side.owed


@pytest.mark.requirement("BROKER-07")
async def test_a_stop_tells_what_works_on_although_it_was_revoked_before_the_stop():
    bench, _, _ = await a_bench()
    await bench.act()
    now = bench.clock.now()
    one = _named(warrant(7, now=now), now).issued(now, account="ans_x", expires_at=UnixMillis(now + 60_000))
    works_on = one.ended(
        now, Revoked(left=("the token",), live_until=now + 3_600_000), why="its action ended"
    )
    over = replace(works_on, name=lease_name(bytes(16)), live_until=now + 10)

    class Remembering(Crowded):
        async def leases(self, which: str, limit: int, *, after: str = "") -> Any:
            # Of the last that ended it told none any more: there were too many since.
            return [works_on, over] if which == "unrevoked" else []

    bench.live.leases = LeaseSide(broker="broker", asks=Remembering(), is_used=True)
    bench.clock.advance(300)
    hold = Hold(
        id=HoldId("hold_" + "x" * 22), what=HoldTarget("agent", "scout"), at=bench.clock.now(), by="uid:0"
    )
    within = await leases_within(bench.authority.registry, bench.live.leases, bench.clock, hold)
    assert [(one.name, one.until) for one in within.live] == [(works_on.name, works_on.live_until)]
    assert within.ended == ()


def without_target() -> list[Any]:
    found = documents()
    for one in found:
        if one["kind"] == "Server":
            one["spec"] = {"url": "http://127.0.0.1:9/mcp"}
        if one["kind"] == "Capability":
            del one["spec"]["lease"]
    return found


@pytest.mark.requirement("BROKER-07")
async def test_what_works_on_after_its_revocation_is_told_as_not_gone_until_its_time(tmp_path):
    """A target that ends nothing before its time: on record the lease has ended, and its credential opens it still."""
    async with a_door(tmp_path) as door:
        asks, now = HttpLeaseBroker(door.socket), door.world.clock.now()

        async def only_in_time(_: object) -> Revoked:
            return Revoked(left=("the token works until it ends",), live_until=now + 3_600_000)

        door.target.revoke = only_in_time
        await act(door, 1)
        assert [one.left for one in await asks.leases("unrevoked")] == [("the token works until it ends",)]
        del door.target.revoke
        await act(door, 2)
        assert len(await asks.leases("unrevoked")) == 1
        door.world.clock.advance(3_600)
        assert await asks.leases("unrevoked") == []


@pytest.mark.requirement("BROKER-08")
async def test_ten_thousand_names_are_recalled_by_few_writes(tmp_path):
    """One write each would take longer than the gateway waits, and it would begin again for ever."""
    async with a_door(tmp_path) as door:
        writes, inner = [], door.desk.register.put

        def counted(leases: Any) -> None:
            writes.append(len(leases))
            inner(leases)

        door.desk.register.put = counted
        names = [(lease_name(number.to_bytes(16, "big")), "nowhere") for number in range(1_000, 11_000)]
        assert await HttpLeaseBroker(door.socket).recall(LOG, names) == len(names)
        assert len(door.desk.open) == len(names)
        assert sum(writes[:20]) >= len(names)


@pytest.mark.requirement("BROKER-08")
async def test_a_lease_whose_warrant_comes_while_its_name_is_recalled_is_not_ended(tmp_path):
    """A gateway that begins to follow names what it has just handed over, too."""
    async with a_door(tmp_path) as door, anyio.create_task_group() as tasks:
        one = warrant(1, now=door.world.clock.now())
        put_all, issue, is_recalled = door.desk.writer.put_all, door.target.issue, anyio.Event()

        async def issued_late(order: Any) -> Any:
            await is_recalled.wait()
            return await issue(order)

        async def put_meanwhile(leases: Any) -> None:
            tasks.start_soon(perform_leased, door.desk, one, "get", {"key": "case-1"})
            await until(lambda: one.lease.name in door.desk.open)
            await put_all(leases)

        door.target.issue, door.desk.writer.put_all = issued_late, put_meanwhile
        names = [(one.lease.name, "one"), (lease_name(bytes(16)), "one")]
        await HttpLeaseBroker(door.socket).recall(LOG, names)
        is_recalled.set()
        await until(lambda: not any(name in door.desk.open for name, _ in names))
        assert [door.desk.register.get(name).why for name, _ in names] == ["its action ended", RECALLED]
