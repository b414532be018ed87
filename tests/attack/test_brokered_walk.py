"""From a decided action to the order of its credential: named before the intent, filled from it, bounded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from answerable.core.containment.hold import Hold, holdable
from answerable.core.lease.credential import Revoked
from answerable.core.lease.lease import Lease
from answerable.core.lease.name import lease_name
from answerable.core.ledger.tags import Tag
from answerable.core.ledger.warrant import Warrant
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Refused, Unavailable
from answerable.flows.drills.report_containment import (
    LEASES_ENDING_MILLIS,
    record_reports,
    report_containment,
)
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.end_leases import end_leases
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.state.lease_side import LeaseLives, LeaseSide
from answerable.flows.workloads.register_manifest import register_manifest
from answerable.ports.lease_broker import EndedLeases
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.contracts.manifest_register import sample_manifest, sample_signed
from tests.worlds.hold import stop
from tests.worlds.parts import to_hold

pytestmark = pytest.mark.anyio

GRANTS = {"cases": [{"id": "{resource}", "of": "{agent}"}], "note": "{argument.case}", "rows": 5}


@dataclass
class AskedBroker:
    """Port LeaseBroker, as far as the walk asks it. away: it cannot be reached. ends_after: what of its leases become
    right after a list of them was given."""

    asked: list[tuple[list[tuple[str, str]], str]] = field(default_factory=list)
    away: bool = False
    held: list[Lease] = field(default_factory=list)
    ends_after: dict[str, list[tuple[Lease, Lease]]] = field(default_factory=dict)

    async def end(self, names: Any, *, why: str, wait_seconds: float) -> EndedLeases:
        if self.away:
            raise Unavailable("the broker cannot be reached", code="broker.unreachable", port="lease_broker")
        self.asked.append((list(names), why))
        return EndedLeases(ended=(), unrevoked=(), more=0)

    async def leases(self, which: str, limit: int, *, after: str = "") -> list[Lease]:
        if which == "unrevoked":
            found = [one for one in self.held if one.state == which or one.left]
        else:
            found = [one for one in self.held if one.is_open is (which == "open")]
        for held, over in self.ends_after.pop(which, ()):
            self.held[self.held.index(held)] = over
        return found


class Watching:
    """The upstream of a bench, and every warrant that came to it."""

    def __init__(self, bench: Bench) -> None:
        self.warrants: list[Warrant] = []
        self._inner = bench.upstream
        bench.walk.verification.upstream = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def perform(self, warrant: Warrant, *, progress: Any = None) -> Any:
        self.warrants.append(warrant)
        return await self._inner.perform(warrant, progress=progress)


def documents(**lease: Any) -> list[Any]:
    """Those of the bench, with its server behind the broker and these leases."""
    found: list[Any] = bench_documents()
    for one in found:
        if one["kind"] == "Server":
            one["spec"] = {"target": "crm-db"}
        if one["kind"] == "Capability" and one["spec"].get("method", "tools/call") == "tools/call":
            one["spec"]["lease"] = {"grants": GRANTS, **lease}
    return [one for one in found if one["kind"] != "Capability" or "lease" in one["spec"]]


async def a_bench(**lease: Any) -> tuple[Bench, Watching, AskedBroker]:
    bench = await Bench().registered(documents(**lease))
    broker = AskedBroker()
    bench.live.leases = LeaseSide(broker="broker", asks=broker)
    await bench.issue()
    return bench, Watching(bench), broker


@pytest.mark.requirement("LEASE-11")
async def test_the_intent_names_the_lease_and_the_warrant_carries_what_was_decided():
    bench, watching, _ = await a_bench()
    await bench.act()
    (warrant,) = watching.warrants
    (intent,) = bench.entries(Tag.INTENT)
    assert intent["lease"] == warrant.lease_name == lease_name(bytes.fromhex(warrant.action_id))
    brokered = warrant.brokered
    assert brokered is not None
    assert brokered.terms.scope.thaw() == {
        "cases": [{"id": "4711", "of": "scout"}],
        "note": "4711",
        "rows": 5,
    }
    assert (brokered.terms.target, brokered.tier, brokered.mandate) == ("crm-db", 1, "m-1")
    assert {("mandate", "m-1"), ("agent", "scout"), ("server", "crm"), ("credential", "crm-db")} <= set(
        brokered.under
    )


@pytest.mark.requirement("LEASE-11")
@pytest.mark.parametrize("value", ["a\nb", "x" * 600, "\u202e4711", ""])
async def test_what_cannot_limit_a_credential_is_refused_on_record(value):
    bench, watching, _ = await a_bench()
    with pytest.raises(Refused):
        await bench.act("get_case", {"case": value})
    assert watching.warrants == []
    assert bench.entries(Tag.INTENT) == []
    assert len(bench.entries(Tag.REFUSAL)) == 1


@pytest.mark.requirement("LEASE-11")
async def test_a_value_that_looks_like_a_placeholder_stays_text():
    bench, watching, _ = await a_bench()
    await bench.act("get_case", {"case": "{agent}"})
    scope = watching.warrants[0].brokered.terms.scope.thaw()
    assert scope["note"] == "{agent}"


@pytest.mark.requirement("LEASE-12")
@pytest.mark.parametrize(
    ("lease", "tier_max", "mandate_seconds", "lives"),
    [
        ({}, 900_000, 3600, 60_000),
        ({"ttlSeconds": 30}, 900_000, 3600, 30_000),
        ({"ttlSeconds": 600}, 120_000, 3600, 120_000),
        ({"window": "task"}, 900_000, 3600, 900_000),
        ({"window": "task"}, 900_000, 100, 100_000),
    ],
)
async def test_the_shortest_of_window_capability_tier_and_mandate_bounds_a_lease(
    lease, tier_max, mandate_seconds, lives
):
    bench, watching, _ = await a_bench(**lease)
    bench.live.leases.lives = LeaseLives(tier_ms_max=(900_000, tier_max, 900_000, 300_000))
    await bench.issue("m-2", seconds=mandate_seconds)
    began = bench.clock.now()
    await bench.act(mandate="m-2")
    assert watching.warrants[0].brokered.terms.expires_at == began + lives


@pytest.mark.requirement("LEASE-12")
async def test_a_task_window_is_of_one_hop_one_scope_and_ends_with_its_time():
    bench, watching, _ = await a_bench(window="task")
    await bench.issue("m-2")
    for mandate, case in (("m-1", "1"), ("m-1", "1"), ("m-1", "2"), ("m-2", "1")):
        await bench.act("get_case", {"case": case}, mandate=mandate)
    first, again, other_scope, other_mandate = (one.lease_name for one in watching.warrants)
    assert first == again
    assert len({first, other_scope, other_mandate}) == 3
    bench.clock.advance(901)
    await bench.act("get_case", {"case": "1"})
    assert watching.warrants[-1].lease_name != first


@pytest.mark.requirement("LEASE-13")
@pytest.mark.parametrize(
    ("model", "code"),
    [("claude-sonnet-4-5-20250929", ""), ("claude-sonnet-4-5", "model.other"), ("gpt-5", "model.other")],
)
async def test_an_agent_asks_the_model_that_it_is_made_of_and_no_other(model, code):
    bench, watching, _ = await a_bench(model="case")
    with pytest.raises(Refused) as unstated:
        await bench.act("get_case", {"case": model})
    assert unstated.value.code == "model.unstated"
    made_of = replace(sample_manifest(), tools_digest="")
    await register_manifest(
        bench.recorder,
        bench.authority,
        bench.asking.under_way,
        bench.live,
        sample_signed(made_of).token,
        by="operator",
    )
    if not code:
        await bench.act("get_case", {"case": model})
        assert len(watching.warrants) == 1
        return
    with pytest.raises(Refused) as refused:
        await bench.act("get_case", {"case": model})
    assert refused.value.code == code
    assert watching.warrants == []


@pytest.mark.requirement("LEASE-14")
async def test_what_ends_is_told_to_the_broker_and_owed_while_it_is_away():
    bench, _, broker = await a_bench(window="task")
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    assert broker.asked[-1][0] == [("mandate", "m-1")]
    await revoke_authority(
        bench.recorder, bench.authority, bench.live, RevocationTarget("agent", "scout"), by="alice"
    )
    assert ("agent", "scout") in broker.asked[-1][0]
    broker.away = True
    told = await end_leases(bench.authority.registry, bench.live.leases, [("vendor", "v")], why="held")
    assert told.unreached
    assert bench.live.leases.owed == {("vendor", "v"): "held"}


@pytest.mark.requirement("LEASE-14")
async def test_without_a_broker_nothing_that_needs_one_is_begun():
    bench, watching, _ = await a_bench()
    bench.live.leases = None
    with pytest.raises(Unavailable) as none:
        await bench.act()
    assert none.value.code == "broker.none"
    assert watching.warrants == []
    assert bench.entries(Tag.INTENT) == []


async def a_lease_and_a_stop() -> tuple[Bench, AskedBroker, Lease, Hold]:
    bench, watching, broker = await a_bench(window="task")
    await bench.act()
    brokered = watching.warrants[0].brokered
    now = bench.clock.now()
    lease = Lease(
        name=brokered.terms.name, target="crm-db", window="task", log=bench.recorder.ledger.origin, intent=0,
        mandate="m-1", agent="scout", capability="get_case", under=brokered.under, scope="", named_at=now,
        expires_at=brokered.terms.expires_at,
    ).issued(now, account="ans", expires_at=brokered.terms.expires_at)  # fmt: skip
    broker.held = [lease]
    hold = (await stop(bench, holdable("agent", "scout"))).hold
    return bench, broker, lease, hold


def gone(bench: Bench, lease: Lease) -> Lease:
    return lease.ended(bench.clock.now(), Revoked(sessions_cut=1, live_until=0, left=()), why="held")


@pytest.mark.requirement("LEASE-15")
async def test_a_report_is_not_over_while_a_lease_is_being_ended_and_names_it_when_it_is():
    bench, broker, lease, hold = await a_lease_and_a_stop()
    report = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
    assert (report.is_complete, report.leases, [one.name for one in report.live]) == (False, (), [lease.name])
    assert report.due_at > bench.clock.now(), "somebody who waits is told how long"
    assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 0
    broker.held = [gone(bench, lease)]
    report = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
    assert (report.is_complete, report.leases, report.live) == (True, (lease.name,), ())
    assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 1


@pytest.mark.requirement("LEASE-15")
@pytest.mark.parametrize("which", ["open", "ended"])
async def test_a_lease_that_ends_while_it_is_looked_for_is_not_passed_over(which):
    bench, broker, lease, hold = await a_lease_and_a_stop()
    broker.ends_after = {which: [(lease, gone(bench, lease))]}
    report = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
    assert lease.name in (*report.leases, *(one.name for one in report.live))
    assert len({*report.leases, *(one.name for one in report.live)}) == 1
    assert not set(report.leases) & {one.name for one in report.live}, "it is not both"


@pytest.mark.requirement("LEASE-15")
async def test_a_lease_that_could_not_be_revoked_keeps_no_report_waiting_and_is_told_as_live():
    bench, broker, lease, hold = await a_lease_and_a_stop()
    broker.held = [lease.unrevoked(bench.clock.now(), "the target is down", why="held", jitter=0.5)]
    report = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
    assert report.is_complete
    [live] = report.live
    assert "the target is down" in live.why


@pytest.mark.requirement("LEASE-15")
async def test_a_lease_that_nobody_hears_of_any_more_keeps_a_report_waiting_for_so_long_only():
    bench, _, lease, hold = await a_lease_and_a_stop()
    bench.clock.advance(LEASES_ENDING_MILLIS / 1000)
    report = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
    assert report.is_complete
    assert [one.name for one in report.live] == [lease.name]
    assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 1


@pytest.mark.requirement("LEASE-15")
async def test_what_a_lease_left_live_before_the_stop_is_told_until_it_has_run_out():
    bench, broker, lease, _ = await a_lease_and_a_stop()
    now = bench.clock.now()
    left = Revoked(left=("its token: nobody takes it back",), live_until=now + 600_000)
    broker.held = [lease.ended(now, left, why="its action ended")]
    bench.clock.advance(1)
    hold = (await stop(bench, holdable("credential", "crm-db"))).hold
    report = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
    [live] = report.live
    assert (report.leases, live.name, live.until) == ((), lease.name, now + 600_000)
    assert report.is_complete
    bench.clock.advance(600)
    assert (await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)).live == ()
