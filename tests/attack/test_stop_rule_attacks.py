"""Agents that split, wait, crash the process or set clocks back to get past a stop rule; and rules that are gentle."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from answerable.core.containment.hold import Hold, HoldId, holdable
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.stop_rule import RULE_HOLDS, RULE_OVER
from answerable.errors import Unavailable
from answerable.flows.counters.keep_history import keep_history
from answerable.flows.counters.trigger_rules import sweep
from answerable.flows.policy.place_triggered_holds import follow_rules, place_triggered_holds
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import bench_documents
from answerable.testing.registers import fresh_ends
from tests.worlds.gateway import until
from tests.worlds.hold import lift
from tests.worlds.parts import to_apply, to_govern
from tests.worlds.rule import HUGE, act_as, again, code_of, denied, fired, retried, rule, ruled

pytestmark = pytest.mark.anyio

ONE = "spiffe://example.org/agent/scout/one"
PAIRS = [
    (over, holds)
    for over in RULE_OVER
    for holds in RULE_HOLDS
    # A mandate can be of several agents.
    if (over, holds) != ("mandate", "agent")
]


async def codes(*acting: Any) -> list[str]:
    return [await code_of(one) for one in acting]


@pytest.mark.requirement("RULE-04")
async def test_an_agent_that_splits_over_instances_and_mandates_is_counted_as_one():
    bench = await ruled(retried(3))
    await bench.issue("m-3")
    ends = [await code_of(act_as(bench, f"{ONE}-{number}")) for number in range(2)]
    ends.append(await code_of(bench.act(mandate="m-3")))
    ends.append(await code_of(act_as(bench, f"{ONE}-9")))
    assert ends == ["succeeded"] * 3 + ["held.agent"]


@pytest.mark.requirement("RULE-04")
async def test_what_sub_agents_do_counts_for_the_instance_that_they_are_of():
    bench = await ruled(retried(2, over="instance", holds="instance"))
    assert await code_of(act_as(bench, f"{ONE}/sub-1")) == "succeeded"
    assert await code_of(act_as(bench, f"{ONE}/sub-2")) == "succeeded"
    assert await code_of(act_as(bench, f"{ONE}/sub-3")) == "held.instance"
    assert await code_of(act_as(bench, ONE)) == "held.instance"
    assert await code_of(act_as(bench, f"{ONE}-other")) == "succeeded"


@pytest.mark.requirement("RULE-04")
async def test_a_clock_that_is_set_back_takes_nothing_off_a_count():
    bench = await ruled(denied(3))
    for _ in range(2):
        await code_of(bench.refund(HUGE))
        bench.clock.jump(-3_000)
    ends = [await code_of(bench.refund(HUGE)) for _ in range(3)]
    assert ends[-1] == "held.agent"


@pytest.mark.requirement("RULE-04")
async def test_what_is_refused_because_of_a_hold_counts_for_no_rule():
    bench = await ruled(denied(3), retried(3))
    bench.authority.holds.place(
        Hold(id=HoldId(f"hold_{1:022d}"), what=holdable("agent", "scout"), at=bench.clock.now(), by="uid:0")
    )
    for _ in range(10):
        assert await code_of(bench.act()) == "held.agent"
    assert await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters) == 0
    assert all(
        not counter.cells.get("scout", {}).get("-") for counter in bench.counters.stop_rules.history.counters
    )


@pytest.mark.requirement("RULE-04")
async def test_once_two_have_looked_and_lifted_it_it_is_counted_anew():
    bench = await ruled(denied(1))
    for _ in range(2):
        await code_of(bench.refund(HUGE))
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    [hold] = bench.authority.holds.all()
    await lift(bench, hold, "bob")
    assert await code_of(bench.act()) == "succeeded"
    assert await code_of(bench.refund(HUGE)) == "refund-never"
    assert await code_of(bench.act()) == "succeeded"
    assert await code_of(bench.refund(HUGE)) == "refund-never"
    assert await code_of(bench.act()) == "held.agent"


@pytest.mark.requirement("RULE-04")
async def test_a_window_that_is_over_is_over():
    bench = await ruled(denied(3))
    for _ in range(3):
        await code_of(bench.refund(HUGE))
    bench.clock.advance(700)
    assert [await code_of(bench.refund(HUGE)) for _ in range(3)] == ["refund-never"] * 3
    assert await code_of(bench.act()) == "succeeded"


# -- crashes


@pytest.mark.requirement("RULE-05")
@pytest.mark.parametrize("kept", [False, True], ids=["from the log alone", "from what was kept"])
async def test_a_restart_and_a_new_session_reset_no_count(kept: bool):
    bench = await ruled(denied(3), retried(3))
    assert await codes(bench.refund(HUGE), bench.refund(HUGE), bench.act(), bench.act(), bench.act()) == [
        "refund-never", "refund-never", "succeeded", "succeeded", "succeeded",
    ]  # fmt: skip
    if kept:
        await keep_history(bench.recorder.ledger, bench.authority.mandates, bench.counters, bench.clock)
    bench = again(bench, forgetting=not kept)
    # The citing of the world was a fourth such action, and one less is left therefore.
    assert await code_of(bench.act()) == "held.agent"


@pytest.mark.requirement("RULE-05")
@pytest.mark.parametrize("kept", [False, True], ids=["from the log alone", "from what was kept"])
@pytest.mark.parametrize("what", ["denials", "value", "resource", "capability"])
async def test_what_tripped_right_before_a_crash_is_held_when_the_next_process_starts(what: str, kept: bool):
    rules = {
        "denials": denied(1),
        "value": rule("value", "canary", canary={"values": ["honey-1"]}),
        "resource": rule("resource", "canary", canary={"resources": ["honey-1"]}),
        "capability": rule("capability", "canary", canary={"capabilities": ["crm.refund"]}),
    }
    bench = await ruled(rules[what])
    if what == "denials":
        await codes(bench.refund(HUGE), bench.refund(HUGE))
    else:
        acting = bench.act("refund", {"case": "honey-1", "amount": 1})
        assert await code_of(acting) == "held.agent"
    if kept:
        await keep_history(bench.recorder.ledger, bench.authority.mandates, bench.counters, bench.clock)
    assert [*bench.authority.tripped._register.all()] == []
    bench = again(bench, forgetting=not kept)
    assert await code_of(bench.act()) == "held.agent"
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    assert fired(bench) == [(what, "held", "agent", "scout")]
    # Placed by now, and lifted: no further start holds it again.
    [hold] = bench.authority.holds.all()
    await lift(bench, hold, "bob")
    bench = again(bench, forgetting=not kept)
    assert await code_of(bench.act()) == "succeeded"


@pytest.mark.requirement("RULE-05")
async def test_a_register_that_takes_nothing_leaves_it_held_here_and_it_is_placed_as_soon_as_there_is_one(
    monkeypatch: Any,
):
    bench = await ruled(denied(0))
    await code_of(bench.refund(HUGE))

    def gone(_hold: Any) -> Any:
        raise Unavailable("no disk", code="register.full", port="register")

    with monkeypatch.context() as patched:
        patched.setattr(bench.authority.tripped._register, "place", gone)
        with pytest.raises(Unavailable):
            await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
        assert await code_of(bench.act()) == "held.agent"
    assert await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters) == 1
    assert len([*bench.authority.holds.all()]) == 1


@pytest.mark.requirement("RULE-05", "FULLDISK-03")
async def test_a_firing_on_record_whose_hold_nobody_knows_is_held_again(monkeypatch: Any):
    """As on a full disk, in the second in which a rule is new: its hold was in force, and nothing could keep it."""
    bench = await ruled(denied(0))
    await code_of(bench.refund(HUGE))
    submit = bench.recorder.ledger.submit

    def without_holds(entry: Any) -> Any:
        if entry.tag == Tag.HOLD_PLACED:
            raise Unavailable("no room", code="ledger.full", port="ledger")
        return submit(entry)

    with monkeypatch.context() as patched:
        patched.setattr(bench.recorder.ledger, "submit", without_holds)
        await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    assert fired(bench) == [("denials", "held", "agent", "scout")]
    assert not bench.entries(Tag.HOLD_PLACED)
    bench.authority.revocations, bench.authority.tripped._register = fresh_ends(bench.clock)
    bench = again(bench, forgetting=True)
    assert await code_of(bench.act()) == "held.agent"


# -- grace, dry runs, ends, bounds


@pytest.mark.requirement("RULE-06")
async def test_with_a_grace_it_warns_first_and_holds_when_it_is_still_too_much_after_it():
    bench = await ruled(denied(1, graceSeconds=30))
    for _ in range(3):
        await code_of(bench.refund(HUGE))
    assert await code_of(bench.act()) == "succeeded"
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    assert fired(bench) == [("denials", "warned", "agent", "scout")]
    bench.clock.advance(31)
    assert await code_of(bench.act()) == "held.agent"
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    assert [one[1] for one in fired(bench)] == ["warned", "held"]


@pytest.mark.requirement("RULE-06")
async def test_whoever_stops_within_the_grace_is_not_held_and_an_idle_one_is_held_without_another_call():
    calm = await ruled(denied(1, within="1m", graceSeconds=120))
    for _ in range(2):
        await code_of(calm.refund(HUGE))
    calm.clock.advance(125)
    sweep(calm.authority, calm.counters, calm.walk.entropy)
    assert await code_of(calm.act()) == "succeeded"
    idle = await ruled(denied(1, graceSeconds=30))
    for _ in range(2):
        await code_of(idle.refund(HUGE))
    assert await place_triggered_holds(idle.recorder, idle.authority, idle.live, idle.counters) == 1
    idle.clock.advance(31)
    sweep(idle.authority, idle.counters, idle.walk.entropy)
    assert await place_triggered_holds(idle.recorder, idle.authority, idle.live, idle.counters) == 1
    assert [one[1] for one in fired(idle)] == ["warned", "held"]


@pytest.mark.requirement("RULE-06")
async def test_a_dry_run_says_once_what_it_would_hold_and_holds_nothing():
    bench = await ruled(denied(1, dryRun=True))
    for _ in range(6):
        assert await code_of(bench.refund(HUGE)) == "refund-never"
    assert await code_of(bench.act()) == "succeeded"
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    assert fired(bench) == [("denials", "would_hold", "agent", "scout")]
    assert [*bench.authority.holds.all()] == []


@pytest.mark.requirement("RULE-06")
async def test_a_hold_of_a_rule_lasts_as_long_as_the_rule_says():
    bench = await ruled(denied(0, expiresSeconds=60))
    await code_of(bench.refund(HUGE))
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    assert await code_of(bench.act()) == "held.agent"
    bench.clock.advance(61)
    assert await code_of(bench.act()) == "succeeded"


@pytest.mark.requirement("RULE-06")
@pytest.mark.parametrize(
    ("holds", "goes_on"),
    [("agent", []), ("mandate", ["m-3"]), ("tool", ["read"]), ("server", []), ("capability", ["read"])],
)
async def test_a_rule_holds_what_it_says_and_nothing_else(holds: str, goes_on: list[str]):
    bench = await ruled(denied(0, holds=holds))
    await bench.issue("m-3")
    await code_of(bench.refund(HUGE))
    ends = {
        "read": await code_of(bench.act()),
        "m-3": await code_of(bench.refund(1, mandate="m-3")),
    }
    assert [name for name, end in ends.items() if end == "succeeded"] == goes_on
    assert {end for end in ends.values() if end != "succeeded"} == {f"held.{holds}"}
    rover = await code_of(bench.refund(1, mandate="m-2", agent="rover"))
    assert rover == ("succeeded" if holds in ("agent", "mandate") else f"held.{holds}")


@pytest.mark.requirement("RULE-07")
async def test_a_rule_that_fires_for_many_at_once_holds_all_of_them_and_is_written_down_so_many_a_second(
    caplog: Any,
):
    bench = await ruled(denied(0, over="mandate"))
    for number in range(30):
        await bench.issue(f"n-{number}")
        await code_of(bench.refund(HUGE, mandate=f"n-{number}"))
    assert (
        await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters, count_max=0)
        == 0
    )
    assert fired(bench) == []
    task = asyncio.ensure_future(
        follow_rules(bench.recorder, bench.authority, bench.live, bench.counters, per_second_max=10)
    )
    await until(lambda: "20 more firings of stop rules wait" in caplog.text, seconds=20)
    assert len([*bench.authority.tripped._register.all()]) == 30
    assert len(fired(bench)) == 10
    for number in range(30):
        assert await code_of(bench.act(mandate=f"n-{number}")) == "held.mandate"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.requirement("RULE-07")
async def test_a_flood_of_dry_runs_is_written_down_in_part_and_that_is_said(caplog: Any, monkeypatch: Any):
    monkeypatch.setattr("answerable.flows.counters.trigger_rules.TRIPS_MAX", 2)
    bench = await ruled(denied(0, over="mandate", dryRun=True))
    for number in range(5):
        await bench.issue(f"n-{number}")
        await code_of(bench.refund(HUGE, mandate=f"n-{number}"))
    task = asyncio.ensure_future(
        follow_rules(bench.recorder, bench.authority, bench.live, bench.counters, per_second_max=1)
    )
    await until(lambda: "3 firings of stop rules were not written down" in caplog.text, seconds=20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [*bench.authority.holds.all()] == []


@pytest.mark.requirement("RULE-06", "RULE-07")
async def test_past_as_many_graces_as_are_kept_in_mind_a_rule_holds_at_once(monkeypatch: Any):
    monkeypatch.setattr("answerable.flows.counters.trigger_rules.PASSED_MAX", 1)
    bench = await ruled(denied(0, over="mandate", graceSeconds=60))
    await bench.issue("m-3")
    await codes(bench.refund(HUGE), bench.refund(HUGE, mandate="m-3"))
    assert await codes(bench.act(), bench.act(mandate="m-3")) == ["succeeded", "held.mandate"]


@pytest.mark.requirement("RULE-05")
async def test_what_cannot_be_placed_is_tried_again_beside_the_doors(caplog: Any, monkeypatch: Any):
    monkeypatch.setattr("answerable.flows.policy.place_triggered_holds.RETRY_SECONDS", 0)
    bench = await ruled(denied(0))
    place = bench.authority.tripped._register.place
    left = iter([Unavailable("no disk", code="register.full", port="register")])

    def failing(hold: Any) -> Any:
        for failed in left:
            raise failed
        return place(hold)

    monkeypatch.setattr(bench.authority.tripped._register, "place", failing)
    await code_of(bench.refund(HUGE))
    task = asyncio.ensure_future(follow_rules(bench.recorder, bench.authority, bench.live, bench.counters))
    await until(lambda: bool(fired(bench)), seconds=20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "holds in this process alone for now" in caplog.text


@pytest.mark.requirement("RULE-05")
@pytest.mark.parametrize(("over", "holds"), PAIRS)
async def test_whatever_it_is_counted_by_and_holds_a_crash_in_between_lets_nothing_go_on(
    over: str, holds: str
):
    bench = await ruled(denied(0, over=over, holds=holds))
    action, caller = bench.request("refund", {"case": "4711", "amount": HUGE})
    caller = msgspec.structs.replace(
        caller, identity=CallerIdentity(instance=ONE, source="unix", grade="kernel"), key=caller.binding
    )
    assert await code_of(govern_action(*to_govern(bench.walk), action, caller)) == "refund-never"
    bench = again(bench, forgetting=True)
    action, caller = bench.request("refund", {"case": "4711", "amount": 1})
    caller = msgspec.structs.replace(
        caller, identity=CallerIdentity(instance=ONE, source="unix", grade="kernel"), key=caller.binding
    )
    assert await code_of(govern_action(*to_govern(bench.walk), action, caller)) == f"held.{holds}"
    if holds in ("tool", "server", "capability"):
        # Known by what was kept, and not by who comes next.
        assert await code_of(bench.refund(1, mandate="m-2", agent="rover")) == f"held.{holds}"


@pytest.mark.requirement("RULE-07")
async def test_where_no_more_holds_can_be_kept_in_mind_the_action_is_refused_all_the_same(monkeypatch: Any):
    monkeypatch.setattr("answerable.flows.state.triggered_holds.TRIPPED_MAX", 0)
    bench = await ruled(retried(1))
    ends = [await code_of(bench.act(arguments={"case": "77"})) for _ in range(3)]
    assert ends == ["succeeded"] + ["stop_rule.waiting"] * 2
    assert len(bench.entries(Tag.REFUSAL)) == 2


@pytest.mark.requirement("RULE-01")
async def test_a_rule_taken_away_counts_no_more_and_one_that_comes_back_begins_anew():
    bench = await ruled(denied(2))
    for _ in range(2):
        await code_of(bench.refund(HUGE))
    await apply_registry(*to_apply(bench.walk), bench_documents(), by="operator", prune=True)
    for _ in range(5):
        assert await code_of(bench.refund(HUGE)) == "refund-never"
    await apply_registry(*to_apply(bench.walk), [denied(2)], by="operator")
    assert await code_of(bench.refund(HUGE)) == "refund-never"
    assert await code_of(bench.act()) == "succeeded"


@pytest.mark.requirement("RULE-01")
async def test_a_lower_limit_counts_what_was_counted_before_it():
    bench = await ruled(denied(5))
    for _ in range(3):
        await code_of(bench.refund(HUGE))
    await apply_registry(*to_apply(bench.walk), [denied(2)], by="operator")
    assert await code_of(bench.act()) == "held.agent"
