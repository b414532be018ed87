"""A policy set in the shadow."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from answerable.core.decision.compared import ShadowSeen, Tally
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused
from answerable.flows.policy import shadow_policy as shadowing
from answerable.flows.policy.compare_decisions import compared
from answerable.flows.policy.shadow_policy import (
    follow_shadow,
    shadow_elsewhere,
    shadow_seen,
    shadow_set,
    start_shadow,
    stop_shadow,
)
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import POLICIES, Bench, bench_documents
from tests.worlds.parts import to_apply, to_shadow
from tests.worlds.publication import STOP, house

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PUB-09")]


async def shadowed(policies: str = STOP) -> Bench:
    bench = await Bench().registered()
    await bench.issue()
    await bench.act()
    await start_shadow(
        bench.recorder.ledger,
        bench.authority.registry,
        bench.walk.policies,
        bench.walk.drills,
        bench.walk.limits,
        bench.clock,
        bench.walk.entropy,
        [house(policies)],
        by="operator",
    )
    return bench


async def followed(bench: Bench) -> ShadowSeen:
    while await follow_shadow(*to_shadow(bench.walk)):
        pass
    shadow = shadow_set(bench.walk.policies)
    assert shadow is not None
    return shadow_seen(bench.recorder.ledger, bench.walk.policies, shadow)


def forget(bench: Bench) -> None:
    """As a process that has just started: only what the register keeps is known."""
    bench.walk.policies.shadow = bench.walk.policies.seen = None


async def test_it_decides_what_is_decided_from_its_start_on_and_nothing_comes_of_it():
    bench = await shadowed()
    assert (await bench.act()).outcome is not None
    assert (await bench.refund(6_000)).approval is not None
    entries, documents = bench.recorder.ledger.size, bench.authority.registry.documents()
    seen = await followed(bench)
    assert seen.tally == Tally(
        asked=2,
        same=0,
        changes={"allow→deny": 1, "defer→deny": 1},
        by_policy={"stop": 2, "refund-large": 1},
    )
    assert [(one.was.capability, one.now) for one in seen.differences] == [
        ("crm.read", "deny"),
        ("crm.refund", "deny"),
    ]
    assert (bench.recorder.ledger.size, bench.authority.registry.documents()) == (entries, documents)
    assert (await bench.act()).outcome is not None


async def test_what_was_counted_survives_a_restart_and_nothing_is_counted_twice():
    bench = await shadowed()
    await bench.act()
    before = await followed(bench)
    forget(bench)
    assert await followed(bench) == before
    forget(bench)
    await bench.act()
    assert (await followed(bench)).tally.changes == {"allow→deny": 2}


async def test_a_process_that_stops_before_it_kept_what_it_counted_counts_it_again_and_once(monkeypatch):
    bench = await shadowed()
    await bench.act()

    def lost(*_: object) -> None:
        raise RuntimeError("the process ended here")

    with monkeypatch.context() as patched:
        patched.setattr(shadowing, "_keep", lost)
        with pytest.raises(RuntimeError):
            await follow_shadow(*to_shadow(bench.walk))
    forget(bench)
    assert (await followed(bench)).tally.changes == {"allow→deny": 1}


async def test_another_set_takes_its_place_with_counts_of_its_own_and_a_stopped_one_leaves_nothing():
    bench = await shadowed()
    await bench.act()
    await followed(bench)
    await start_shadow(
        bench.recorder.ledger,
        bench.authority.registry,
        bench.walk.policies,
        bench.walk.drills,
        bench.walk.limits,
        bench.clock,
        bench.walk.entropy,
        [house(POLICIES)],
        by="operator",
    )
    await bench.act()
    seen = await followed(bench)
    assert (seen.tally.asked, seen.tally.same) == (1, 1)
    stop_shadow(bench.walk.policies)
    assert shadow_set(bench.walk.policies) is None
    assert not await follow_shadow(*to_shadow(bench.walk))
    assert bench.walk.policies.records is not None
    assert bench.walk.policies.records.all("shadow") == ()
    with pytest.raises(Refused):
        stop_shadow(bench.walk.policies)


async def test_it_is_checked_like_a_set_that_is_published():
    bench = await shadowed()
    with pytest.raises(Malformed):
        await start_shadow(
            bench.recorder.ledger,
            bench.authority.registry,
            bench.walk.policies,
            bench.walk.drills,
            bench.walk.limits,
            bench.clock,
            bench.walk.entropy,
            [house("permit (")],
            by="operator",
        )
    assert shadow_set(bench.walk.policies) is not None, "the one before stays"


async def test_where_the_registry_changes_under_it_that_is_told_and_what_was_decided_waits():
    only_refund = POLICIES + (
        '@id("stop") forbid (principal, action == Action::"crm.read", resource) '
        'when { context.arguments.case == "4711" };'
    )
    bench = await shadowed(only_refund)
    capability = next(
        d for d in bench_documents() if isinstance(d, dict) and d["metadata"] == {"name": "crm.read"}
    )
    changed = json.loads(json.dumps(capability))
    changed["spec"]["arguments"] = [{"name": "case", "type": "integer", "required": True}]
    await apply_registry(*to_apply(bench.walk), [changed], by="operator")
    await follow_shadow(*to_shadow(bench.walk))
    assert bench.walk.policies.seen is not None
    assert "stop" in bench.walk.policies.seen.fault
    await bench.refund(100)
    await apply_registry(*to_apply(bench.walk), [capability], by="operator")
    seen = await followed(bench)
    assert (seen.fault, seen.tally.asked) == ("", 1)


async def test_the_latest_differences_are_listed_up_to_a_bound_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(shadowing, "DIFFERENCES_MAX", 3)
    bench = await shadowed()
    for _ in range(5):
        await bench.act()
    seen = await followed(bench)
    assert seen.tally.changes == {"allow→deny": 5}
    last = bench.entries(Tag.INTENT)[-1]["index"]
    assert [one.was.index for one in seen.differences][-1] == last
    assert len(seen.differences) == 3


async def test_a_round_ends_when_its_time_is_up_and_goes_on_where_it_was(monkeypatch):
    bench = await shadowed()
    await bench.act()
    await bench.act()
    monkeypatch.setattr(shadowing, "ROUND_SECONDS_MAX", -1.0)
    rounds = 0
    while await follow_shadow(*to_shadow(bench.walk)):
        rounds += 1
    assert rounds > 4
    assert bench.walk.policies.seen is not None
    assert bench.walk.policies.seen.tally.changes == {"allow→deny": 2}


async def test_where_nothing_is_kept_there_is_no_shadow():
    bench = await Bench().registered()
    bench.walk.policies.records = None
    assert not await follow_shadow(*to_shadow(bench.walk))


async def test_a_set_stopped_in_the_middle_of_a_round_counts_nothing_more(monkeypatch):
    bench = await shadowed()
    await bench.act()
    await bench.act()

    def stopping(*given):
        if shadow_set(bench.walk.policies) is not None:
            stop_shadow(bench.walk.policies)
        return compared(*given)

    monkeypatch.setattr(shadowing, "compared", stopping)
    assert not await follow_shadow(*to_shadow(bench.walk))
    assert bench.walk.policies.seen is None


async def test_a_set_that_another_process_put_there_is_followed_from_when_it_is_seen():
    bench = await shadowed()
    await bench.act()
    forget(bench)
    records = bench.walk.policies.records
    assert records is not None
    records.remove("shadow", bench.recorder.ledger.origin)
    assert (await followed(bench)).tally.asked == 0
    await bench.act()
    assert (await followed(bench)).tally.changes == {"allow→deny": 1}


@pytest.mark.requirement("PUB-14")
async def test_a_log_without_a_decision_is_known_to_be_compared_and_one_of_another_set_is_not():
    bench = await shadowed()
    policies, origin = bench.walk.policies, bench.recorder.ledger.origin
    first = shadow_set(policies)
    assert first is not None
    assert policies.records is not None
    policies.records.remove("shadow", origin)
    assert shadow_elsewhere(policies, first, [origin]) == {origin: None}
    assert (await followed(bench)).tally.asked == 0
    assert shadow_elsewhere(policies, first, [origin, "other"]) == {origin: policies.seen, "other": None}
    assert shadow_elsewhere(policies, replace(first, id="next"), [origin]) == {origin: None}


@pytest.mark.requirement("PUB-14")
def test_totals_of_logs_are_added():
    total = Tally(asked=2, same=1, changes={"allow→deny": 1}, untold={"x": 1})
    total.merge(Tally(asked=3, same=1, changes={"allow→deny": 2}, by_policy={"p": 2}, unasked={"erased": 1}))
    assert total == Tally(
        asked=5,
        same=2,
        changes={"allow→deny": 3},
        by_policy={"p": 2},
        untold={"x": 1},
        unasked={"erased": 1},
    )
