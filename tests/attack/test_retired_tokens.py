"""An agent is retired, and whoever goes by status lists alone is shown tokens that it held or handed on."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqliteTokenRegister
from answerable.core.identity.names.principal import AgentId
from answerable.errors import AnswerableError
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.registry.set_agent_status import set_agent_status
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh
from tests.worlds.enrolment import workloads_over
from tests.worlds.parts import to_apply
from tests.worlds.tree import Node, TreeWorld, documents, tree_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LIFE-09")]


async def grown() -> TreeWorld:
    """Scout's token; below it one that rover got for a consent; below that one of third's, signed by rover."""
    world = await tree_world(fresh(SqliteTokenRegister, entropy=SeededEntropy("places")))
    below = await world.consented(await world.root(), "rover")
    await world.own(world.offline(below, "third"))
    return world


def issued(world: TreeWorld) -> list[Node]:
    return [one for one in world.nodes if one.issued]


def at_the_gateway(world: TreeWorld, node: Node) -> bool:
    try:
        return world.at_the_gateway(node)
    except AnswerableError:
        return False


@pytest.mark.parametrize(
    ("agent", "left"),
    [("rover", [True, False, False]), ("third", [True, True, False]), ("scout", [False, False, False])],
)
async def test_gateway_introspection_and_status_list_say_the_same_of_what_a_retired_agent_held(agent, left):
    world = await grown()
    assert [world.listed(one) for one in issued(world)] == [True] * 3
    workloads = workloads_over(world.bench.walk)
    await set_agent_status(workloads, AgentId(agent), "retired", by="operator")
    assert [world.listed(one) for one in issued(world)] == left
    assert [world.introspected(one) for one in issued(world)] == left
    assert [at_the_gateway(world, one) for one in issued(world)] == left


async def test_what_a_crash_kept_from_the_list_is_there_when_it_is_retired_once_more():
    world = await grown()
    workloads = workloads_over(world.bench.walk)
    register, world.bench.live.tokens = world.bench.live.tokens, None
    await set_agent_status(workloads, AgentId("rover"), "retired", by="operator")
    world.bench.live.tokens = register
    assert [world.listed(one) for one in issued(world)] == [True] * 3
    await set_agent_status(workloads, AgentId("rover"), "retired", by="operator")
    assert [world.listed(one) for one in issued(world)] == [True, False, False]


async def test_a_suspended_agents_tokens_stay_in_the_list_and_are_refused_here():
    """What may come back is not shown as ended for good; who wants that revokes the agent."""
    world = await grown()
    await set_agent_status(workloads_over(world.bench.walk), AgentId("rover"), "suspended", by="operator")
    assert [world.listed(one) for one in issued(world)] == [True] * 3
    assert [world.introspected(one) for one in issued(world)] == [True, False, False]
    assert [at_the_gateway(world, one) for one in issued(world)] == [True, False, False]


async def test_a_document_that_retires_an_agent_does_the_same():
    world = await grown()
    found = documents()
    for one in found:
        if one["metadata"]["name"] == "rover":
            one["spec"]["status"] = "retired"
    await apply_registry(*to_apply(world.bench.walk), found, by="operator")
    assert [world.listed(one) for one in issued(world)] == [True, False, False]
