"""Whoever wants more power tries to get it without a drill, or with one that says nothing of it."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqliteHoldRegister, SqliteRevocationRegister
from answerable.adapters.system import SystemClock
from answerable.core.containment.drill import DRILL_KINDS, definition_of, drilled
from answerable.core.containment.shadow import WAITS
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.drills.run_drill import run_drill
from answerable.flows.drills.stage_drill import Stage
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import bench_documents
from answerable.testing.contracts.drill_register import sample_drill
from answerable.testing.registers import fresh_store
from tests.worlds.drill import bench_to_drill, documents_with, drill, drill_all
from tests.worlds.parts import to_apply

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("DRILL-03")]

DAY = 86_400_000


async def drilled_bench():
    """Scout is registered in tier 1; from now on raises need drills."""
    bench, workloads = await bench_to_drill()
    await apply_registry(*to_apply(bench.walk), documents_with("Agent", "scout", tier=1), by="operator")
    bench.walk.drills.required = True
    return bench, workloads


async def raise_to(bench, tier, **spec):
    return await apply_registry(
        *to_apply(bench.walk), documents_with("Agent", "scout", tier=tier, **spec), by="operator"
    )


def refused(raised) -> str:
    assert raised.value.code == "drill.missing"
    return raised.value.message


async def test_a_raise_is_refused_with_the_very_commands_and_passes_after_them():
    bench, workloads = await drilled_bench()
    with pytest.raises(Refused) as raised:
        await raise_to(bench, 2)
    told = refused(raised)
    for kind in DRILL_KINDS:
        assert f"`answerable drill {kind} scout --kind agent`" in told
    assert bench.authority.registry.current.agents["scout"].tier == 1
    await drill(workloads, "stop")
    await drill(workloads, "trace")
    with pytest.raises(Refused) as raised:
        await raise_to(bench, 2)
    assert "drill revocation scout" in refused(raised)
    assert "drill stop scout" not in raised.value.message
    await drill(workloads, "revocation")
    await raise_to(bench, 2)
    assert bench.authority.registry.current.agents["scout"].tier == 2


async def test_drills_of_a_capability_raise_that_capability_and_nothing_else():
    bench, workloads = await drilled_bench()
    await drill_all(workloads, "crm.read", of="capability")
    with pytest.raises(Refused) as raised:
        await apply_registry(
            *to_apply(bench.walk),
            documents_with("Capability", "crm.refund", tier=3),
            by="operator",
            prune=True,
        )
    # Pruned and given again are the same; the agents' documents went back to saying no tier.
    assert "scout" in refused(raised)
    documents = [
        {**one, "spec": {**one["spec"], "tier": 2}} if one["metadata"]["name"] == "crm.read" else one
        for one in documents_with("Agent", "scout", tier=1)
    ]
    await apply_registry(*to_apply(bench.walk), documents, by="operator")
    assert bench.authority.registry.current.capabilities["crm.read"].tier == 2


async def test_an_older_document_of_a_higher_tier_is_a_raise_too():
    bench, workloads = await drilled_bench()
    await drill_all(workloads)
    await raise_to(bench, 2)
    await raise_to(bench, 0)
    with bench.walk.drills.register._store.write() as connection:
        connection.execute("DELETE FROM drills")
    with pytest.raises(Refused) as raised:
        await raise_to(bench, 2)
    refused(raised)


async def test_to_say_no_tier_any_more_is_the_highest():
    bench, _ = await drilled_bench()
    with pytest.raises(Refused) as raised:
        await raise_to(bench, None)
    assert "from tier 1 to 3" in refused(raised)


async def test_another_name_and_the_same_name_anew_begin_at_nothing():
    bench, workloads = await drilled_bench()
    await drill_all(workloads)
    documents = documents_with("Agent", "scout", tier=2)
    renamed = []
    for one in documents:
        if one["metadata"]["name"] == "scout":
            one = {**one, "metadata": {"name": "scout-2"}}
        if one["kind"] == "MandateTemplate":
            one = {**one, "spec": {**one["spec"], "agent": "scout-2"}}
        renamed.append(one)
    with pytest.raises(Refused) as raised:
        await apply_registry(*to_apply(bench.walk), renamed, by="operator", prune=True)
    assert "agent `scout-2` is raised from tier 0 to 2" in refused(raised)
    gone = [
        one
        for one in bench_documents()
        if one["metadata"]["name"] not in ("scout", "rover") and one["kind"] != "MandateTemplate"
    ]
    await apply_registry(*to_apply(bench.walk), gone, by="operator", prune=True)
    with pytest.raises(Refused) as raised:
        await apply_registry(
            *to_apply(bench.walk),
            documents_with("Agent", "scout", tier=1, environment="staging"),
            by="operator",
        )
    assert "from tier 0 to 1" in refused(raised)


async def test_what_was_drilled_is_what_is_raised_and_not_something_else_of_that_name():
    bench, workloads = await drilled_bench()
    await drill_all(workloads)
    with pytest.raises(Refused) as raised:
        await raise_to(bench, 2, environment="staging")
    assert "change of its tier alone" in refused(raised)
    await raise_to(bench, 1, environment="staging")
    with pytest.raises(Refused) as raised:
        await raise_to(bench, 2, environment="staging")
    refused(raised)


@pytest.mark.parametrize(("age", "counts"), [(0, True), (90 * DAY, True), (90 * DAY + 1, False), (-1, False)])
async def test_a_drill_counts_for_ninety_days_and_none_from_the_future_does(age, counts):
    found = sample_drill(at=1_000)
    passed = type(found)(
        **{name: getattr(found, name) for name in found.__slots__ if name != "faults"}, faults=()
    )
    assert passed.counts(1_000 + age) is counts
    assert not found.counts(1_000)


async def test_a_failed_drill_and_one_that_was_only_claimed_count_for_nothing():
    bench, workloads = await drilled_bench()
    real = bench.authority.holds

    class Deaf(SqliteHoldRegister):
        """Takes holds and tells nobody."""

        def standing(self, names):
            return ()

    store = fresh_store()
    bench.authority.holds = Deaf(store, SqliteRevocationRegister(store, clock=bench.clock))
    found = await run_drill(workloads, "stop", drilled("agent", "scout"), by="uid:0")
    assert not found.passed
    [leaf] = bench.entries(Tag.DRILL)
    assert leaf["passed"] is False
    bench.authority.holds = real
    await drill(workloads, "revocation")
    await drill(workloads, "trace")
    with pytest.raises(Refused) as raised:
        await raise_to(bench, 2)
    assert "drill stop scout" in refused(raised)
    claimed = sample_drill(9)
    assert claimed.definition != definition_of(documents_with("Agent", "scout", tier=1)[0])


async def test_a_drill_whose_call_never_reaches_the_tool_is_over_and_says_so(monkeypatch):
    _, workloads = await drilled_bench()
    act = Stage.act

    async def refused_on_its_way(stage, how):
        if how == WAITS:
            raise Refused("this one is not let through", code="drill.this_test")
        return await act(stage, how)

    monkeypatch.setattr(Stage, "act", refused_on_its_way)
    found = await run_drill(workloads, "stop", drilled("agent", "scout"), by="uid:0")
    assert "the call on its way ended without an outcome: drill.this_test" in found.faults
    assert not [one for one in found.faults if "was not over" in one]


async def test_where_drills_are_only_told_a_raise_is_in_force_and_on_record():
    bench, _ = await bench_to_drill()
    await apply_registry(*to_apply(bench.walk), documents_with("Agent", "scout", tier=1), by="operator")
    before = len(bench.entries(Tag.REGISTRY_CHANGE))
    applied = await raise_to(bench, 2)
    assert [one.what.name for one in applied.undrilled] == ["scout"]
    leaf = bench.entries(Tag.REGISTRY_CHANGE)[before]
    assert (leaf["undrilled"], leaf["undrilled_count"]) == (["Agent/scout"], 1)
    assert SystemClock().now() - leaf["at"] < DAY


async def test_a_drill_stops_nobody_else_and_leaves_nothing_open():
    bench, workloads = await bench_to_drill()
    await bench.issue("m-1")
    agents = bench.authority.registry.current
    await drill_all(workloads)
    assert bench.authority.registry.current is agents
    assert (await bench.act()).outcome.status == "succeeded"
    assert bench.authority.mandates.calls_used("m-1") == 1
    assert not bench.recorder.open_intents
    assert not bench.live.calls
    assert not [*workloads.instances.live()]
    assert not list(bench.authority.approvals.all(pending_only=True, now=bench.clock.now()))
    open_ones = [
        one.id for one in bench.authority.mandates.all() if bench.authority.mandates.state(one.id) == "open"
    ]
    assert open_ones == ["m-1"]
    for hold in bench.authority.holds.all():
        assert hold.source == "drill"
        assert hold.expires_at
    [told] = bench.entries(Tag.HOLD_PLACED)
    assert told["source"] == "drill"
    assert bench.channel.announced == []


async def test_of_what_is_not_in_force_there_is_no_drill():
    bench, workloads = await bench_to_drill()
    for of, name, code in (("agent", "nobody", "drill.unknown"), ("capability", "scout", "drill.unknown")):
        with pytest.raises(Refused) as raised:
            await drill(workloads, "stop", name, of=of)
        assert raised.value.code == code
    await apply_registry(
        *to_apply(bench.walk), documents_with("Agent", "scout", ownership={"owner": "alice"}), by="operator"
    )
    with pytest.raises(Refused) as raised:
        await drill(workloads, "stop")
    assert raised.value.code == "drill.inactive"
    assert not bench.entries(Tag.DRILL)
