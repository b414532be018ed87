"""Suspending, resuming and retiring agents, by hand and by rule."""

from __future__ import annotations

import pytest

from answerable.core.identity.principal import AgentId
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Refused
from answerable.flows.enrol_workload import enrol
from answerable.flows.set_agent_standing import set_agent_standing
from answerable.flows.suspend_dormant import Dormancy, suspend_dormant
from tests.enrolment_world import enrolling, evidence_of, key_of

pytestmark = pytest.mark.anyio
DAY = 86_400
SCOUT = AgentId("scout")


async def test_suspending_ends_instances_and_resuming_gives_none_back():
    bench, workloads = await enrolling()
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    change = await set_agent_standing(workloads, SCOUT, "suspended", by="operator")
    assert [ended.id for ended in change.ended] == [one.id]
    assert change.x509_until == bench.clock.now() + 3_600_000
    assert change.jwt_until == bench.clock.now() + 300_000
    assert "scout" not in bench.walk.registry.current.agents
    again = await set_agent_standing(workloads, SCOUT, "suspended", by="operator")
    assert (again.changed, again.ended, again.x509_until) == (False, (), 0)
    await set_agent_standing(workloads, SCOUT, "active", by="operator")
    assert "scout" in bench.walk.registry.current.agents
    assert list(workloads.instances.live()) == []


async def test_retiring_closes_mandates_and_is_for_good():
    bench, workloads = await enrolling()
    await bench.issue("m-1")
    await bench.issue("m-2", agent="rover")
    change = await set_agent_standing(workloads, SCOUT, "retired", by="operator")
    assert change.closed == ("m-1",)
    assert bench.walk.mandates.state(MandateId("m-2")) == "open"
    with pytest.raises(Refused) as error:
        await set_agent_standing(workloads, SCOUT, "active", by="operator")
    assert error.value.code == "agent.retired"
    with pytest.raises(Refused) as error:
        await set_agent_standing(workloads, AgentId("nobody"), "retired", by="operator")
    assert error.value.code == "agent.unknown"


async def test_an_agent_that_nobody_used_for_long_is_suspended_by_rule_and_recorded():
    bench, workloads = await enrolling()
    dormancy = Dormancy()
    assert await suspend_dormant(workloads, dormancy, days=30) == ()
    bench.clock.advance(20 * DAY)
    await bench.issue("m-1", agent="rover")
    await bench.act(mandate="m-1", agent="rover")
    bench.clock.advance(15 * DAY)
    assert await suspend_dormant(workloads, dormancy, days=0) == ()
    assert await suspend_dormant(workloads, dormancy, days=30) == ("scout",)
    assert set(bench.walk.registry.current.agents) == {"rover"}
    assert len(bench.entries(Tag.REGISTRY_CHANGE)) == 2
    await set_agent_standing(workloads, SCOUT, "active", by="operator")
    assert await suspend_dormant(workloads, dormancy, days=30) == ()
    bench.clock.advance(16 * DAY)
    assert await suspend_dormant(workloads, Dormancy(), days=30) == ("rover",)


async def test_an_enrolment_counts_as_use():
    bench, workloads = await enrolling()
    bench.clock.advance(20 * DAY)
    await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    bench.clock.advance(15 * DAY)
    assert await suspend_dormant(workloads, Dormancy(), days=30) == ("rover",)
