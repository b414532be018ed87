"""Suspending, resuming and retiring agents, by hand and by rule."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqliteAgentUses
from answerable.core.canonical import parse
from answerable.core.containment.hold import holdable
from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Refused
from answerable.flows.policy.explain_what_if import possible
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.registry.set_agent_status import set_agent_status
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.trust_domain.workloads import Workloads
from answerable.flows.walk.agent_standing import holds_of_agent, standing_of
from answerable.flows.walk.moment import moment_now
from answerable.flows.workloads.enrol_workload import enrol
from answerable.flows.workloads.suspend_dormant import Dormancy, suspend_dormant
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from tests.worlds.enrolment import enrolling, evidence_of, key_of
from tests.worlds.parts import to_apply, to_decide, to_hold

pytestmark = pytest.mark.anyio
DAY = 86_400
SCOUT = AgentId("scout")


async def test_suspending_ends_instances_and_resuming_gives_none_back():
    bench, workloads = await enrolling()
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    change = await set_agent_status(workloads, SCOUT, "suspended", by="operator")
    assert [ended.id for ended in change.ended] == [one.id]
    assert change.x509_until == bench.clock.now() + 3_600_000
    assert change.jwt_until == bench.clock.now() + 300_000
    assert "scout" not in bench.authority.registry.current.agents
    again = await set_agent_status(workloads, SCOUT, "suspended", by="operator")
    assert (again.changed, again.ended, again.x509_until) == (False, (), 0)
    await set_agent_status(workloads, SCOUT, "active", by="operator")
    assert "scout" in bench.authority.registry.current.agents
    assert list(workloads.instances.live()) == []


async def test_retiring_closes_mandates_and_is_for_good():
    bench, workloads = await enrolling()
    await bench.issue("m-1")
    await bench.issue("m-2", agent="rover")
    change = await set_agent_status(workloads, SCOUT, "retired", by="operator")
    assert change.closed == ("m-1",)
    assert bench.authority.mandates.state(MandateId("m-2")) == "open"
    with pytest.raises(Refused) as error:
        await set_agent_status(workloads, SCOUT, "active", by="operator")
    assert error.value.code == "agent.retired"
    with pytest.raises(Refused) as error:
        await set_agent_status(workloads, AgentId("nobody"), "retired", by="operator")
    assert error.value.code == "agent.unknown"


@pytest.mark.requirement("SAME-20")
async def test_every_hold_that_stops_an_agent_is_told_of_it_and_no_other_one():
    bench = await Bench().registered()
    await bench.issue("m-1")
    await bench.issue("m-2", agent="rover")
    key = bench.authority.registry.current.agents[SCOUT].keys[0].thumbprint
    owner = bench.authority.registry.current.agents[SCOUT].ownership.owner
    of_it = [
        ("agent", "scout"),
        ("owner", owner),
        ("environment", "production"),
        ("key", key),
        ("mandate", "m-1"),
        ("everything", ""),
    ]
    for kind, name in (*of_it, ("agent", "rover"), ("mandate", "m-2"), ("tool", "crm/get_case")):
        await place_hold(*to_hold(bench.walk), holdable(kind, name), by="operator")
    found = holds_of_agent(bench.authority, SCOUT)
    assert {one.what for one in found} == {holdable(*one) for one in of_it}


@pytest.mark.requirement("SAME-27")
async def test_an_agent_that_can_prove_itself_by_held_keys_alone_is_told_as_stopped():
    bench = await Bench().registered()
    await bench.issue()
    key = bench.authority.registry.current.agents[SCOUT].keys[0].thumbprint
    assert standing_of(bench.authority, SCOUT) == ("active", "")
    placed = await place_hold(*to_hold(bench.walk), holdable("key", key), by="operator")
    assert standing_of(bench.authority, SCOUT) == ("stopped", placed.hold.id)
    assert standing_of(bench.authority, "rover") == ("active", "")
    (told,) = possible(await moment_now(*to_decide(bench.walk), "crm.read"), agents=("scout",), resource="")
    assert (told.effect, told.by) == ("deny", ("held.key", placed.hold.id))
    # Once it can prove itself otherwise, too, it is not.
    document = parse(bench.authority.registry.documents()["Agent/scout"])
    spec = {**document["spec"], "unixUids": [4711]}
    await apply_registry(*to_apply(bench.walk), [{**document, "spec": spec}], by="operator")
    assert standing_of(bench.authority, SCOUT) == ("active", "")
    assert [one.id for one in holds_of_agent(bench.authority, SCOUT)] == [placed.hold.id]
    await apply_registry(*to_apply(bench.walk), [document], by="operator")
    await revoke_authority(
        bench.recorder,
        bench.authority,
        bench.live,
        RevocationTarget("key", key),
        by="operator",
        looks_back=False,
    )
    assert standing_of(bench.authority, SCOUT) == ("revoked", "")


@pytest.mark.requirement("SAME-23")
async def test_an_agent_that_is_not_active_is_told_by_its_status():
    bench, workloads = await enrolling()
    for status in ("suspended", "retired"):
        await set_agent_status(workloads, SCOUT, status, by="operator")
        assert standing_of(bench.authority, SCOUT) == (status, "")


async def used(bench: Bench, workloads: Workloads) -> None:
    """Rover is enrolled anew, which the ledger knows."""
    process = f"boot:2:{bench.clock.now()}"
    await enrol(workloads, evidence=evidence_of("unix:uid:2000"), key=None, process=process)


async def passed(bench: Bench, workloads: Workloads, days: int) -> None:
    """Days on each of which somebody used rover, so that the ledger has an entry of each."""
    for _ in range(days):
        bench.clock.advance(DAY)
        await used(bench, workloads)


async def judged(workloads: Workloads, *, days: int = 30) -> tuple[AgentId, ...]:
    """What the second round of a server that has just started does: the first one does nothing."""
    uses, dormancy = fresh(SqliteAgentUses), Dormancy()
    assert await suspend_dormant(workloads, uses, dormancy, days=days) == ()
    return await suspend_dormant(workloads, uses, dormancy, days=days)


async def test_an_agent_that_nobody_used_for_long_is_suspended_by_rule_and_recorded():
    bench, workloads = await enrolling()
    uses, dormancy = fresh(SqliteAgentUses), Dormancy()
    assert await suspend_dormant(workloads, uses, dormancy, days=5) == ()
    await passed(bench, workloads, 5)
    assert await suspend_dormant(workloads, uses, dormancy, days=5) == ()
    assert await judged(workloads, days=5) == ()
    await passed(bench, workloads, 1)
    assert await suspend_dormant(workloads, uses, dormancy, days=0) == ()
    assert await suspend_dormant(workloads, uses, dormancy, days=5) == ("scout",)
    assert set(bench.authority.registry.current.agents) == {"rover"}
    assert len(bench.entries(Tag.REGISTRY_CHANGE)) == 2
    await set_agent_status(workloads, SCOUT, "active", by="operator")
    assert await suspend_dormant(workloads, uses, dormancy, days=5) == ()
    assert await judged(workloads, days=5) == ()


async def test_an_enrolment_counts_as_use():
    bench, workloads = await enrolling()
    await passed(bench, workloads, 4)
    await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    await passed(bench, workloads, 5)
    assert await judged(workloads, days=5) == ()
    await passed(bench, workloads, 1)
    assert await judged(workloads, days=5) == ("scout",)


async def test_days_on_which_a_server_made_its_rounds_count_without_entries():
    bench, workloads = await enrolling()
    uses, dormancy = fresh(SqliteAgentUses), Dormancy()
    for _ in range(6):
        assert await suspend_dormant(workloads, uses, dormancy, days=5) == ()
        bench.clock.advance(DAY)
    assert await suspend_dormant(workloads, uses, dormancy, days=5) == ("rover", "scout")


async def test_a_server_that_was_off_for_long_suspends_nobody_for_that():
    bench, workloads = await enrolling()
    await passed(bench, workloads, 3)
    bench.clock.advance(400 * DAY)
    await used(bench, workloads)
    assert await judged(workloads) == ()
    await passed(bench, workloads, 26)
    assert await judged(workloads) == ()
    await passed(bench, workloads, 2)
    assert await judged(workloads) == ("scout",)


async def test_a_clock_that_jumps_ahead_suspends_nobody_neither_at_once_nor_after_a_restart():
    bench, workloads = await enrolling()
    uses, dormancy = fresh(SqliteAgentUses), Dormancy()
    assert await suspend_dormant(workloads, uses, dormancy, days=30) == ()
    for _ in range(3):
        bench.clock.jump(400 * DAY)
        assert await suspend_dormant(workloads, uses, dormancy, days=30) == ()
        assert await suspend_dormant(workloads, uses, dormancy, days=30) == ()
        await used(bench, workloads)
        assert await judged(workloads) == ()
    bench.clock.jump(-1200 * DAY)
    assert await judged(workloads) == ()
    await passed(bench, workloads, 40)
    assert await judged(workloads) == ("scout",)


async def test_a_round_is_left_out_when_the_clock_went_ahead_of_the_time_that_passed():
    bench, workloads = await enrolling()
    await passed(bench, workloads, 6)
    uses, dormancy = fresh(SqliteAgentUses), Dormancy()
    assert await suspend_dormant(workloads, uses, dormancy, days=5) == ()
    bench.clock.jump(3_601)
    assert await suspend_dormant(workloads, uses, dormancy, days=5) == ()
    bench.clock.jump(3_599)
    assert await suspend_dormant(workloads, uses, dormancy, days=5) == ("scout",)
