"""Dormant agents: somebody hopes that one which nobody needs stays open, or that one in use is shut."""

from __future__ import annotations

import logging

import anyio
import pytest

from answerable.adapters.sqlite import SqliteAgentUses
from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.counters.note_uses import note_last_uses, note_uses
from answerable.flows.registry.set_agent_status import set_agent_status
from answerable.flows.workloads.enrol_workload import enrol
from answerable.flows.workloads.suspend_dormant import (
    PATIENCE,
    RULE,
    Dormancy,
    follow_dormancy,
    suspend_dormant,
)
from answerable.testing.registers import fresh
from tests.worlds.dormancy import DAY, DAYS, Shards, shards
from tests.worlds.enrolment import enrolling, evidence_of
from tests.worlds.gateway import until

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LIFE-01")]
SCOUT = AgentId("scout")


async def begun(world: Shards) -> Dormancy:
    """After the first round of a, which does nothing."""
    dormancy = Dormancy()
    assert await world.round(world.a, dormancy) == ()
    return dormancy


async def test_an_agent_that_another_shard_alone_saw_is_not_dormant() -> None:
    world = await shards()
    dormancy = await begun(world)
    await world.passed(DAYS + 3, scout_at=world.b)
    # To a it looks dormant until b has told.
    assert await world.round(world.a, dormancy) == ()
    assert dormancy.waiting == (world.b.recorder.ledger.origin,)
    await note_uses(world.b.recorder, world.uses, days=DAYS)
    assert await world.round(world.a, dormancy) == ()
    assert [*dormancy.waiting, dormancy.asked] == [None]
    assert "scout" in world.bench.authority.registry.current.agents
    # And when b does not see it any more either, it is dormant.
    await world.passed(DAYS + 1)
    await note_uses(world.b.recorder, world.uses, days=DAYS)
    assert await world.round(world.a, dormancy) == ("scout",)


async def test_a_shard_that_keeps_what_it_saw_to_itself_is_waited_for_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await shards()
    await world.passed(DAYS + 2)
    with caplog.at_level(logging.WARNING):
        async with anyio.create_task_group() as tasks:

            async def follow() -> None:
                await follow_dormancy(
                    world.a, world.uses, days=DAYS, round_seconds=0.01, logs=world.published
                )

            tasks.start_soon(follow)
            await until(lambda: world.b.recorder.ledger.origin in caplog.text)
            assert "scout" in world.bench.authority.registry.current.agents
            assert caplog.text.count("start their processes") == 1
            await note_uses(world.b.recorder, world.uses, days=DAYS)
            await until(lambda: "scout" not in world.bench.authority.registry.current.agents)
            tasks.cancel_scope.cancel()
    assert "agent scout was not used for 5 days and is suspended" in caplog.text


async def test_a_shard_that_ended_in_order_is_waited_for_no_more() -> None:
    world = await shards()
    await note_uses(world.b.recorder, world.uses, days=DAYS)
    await world.used(world.b, 2000)
    await note_last_uses(world.b.recorder, world.uses, days=DAYS)
    dormancy = await begun(world)
    await world.passed(DAYS + 1)
    assert await world.round(world.a, dormancy) == ("scout",)


async def test_a_shard_that_looks_back_less_far_does_not_hide_what_it_saw() -> None:
    world = await shards()
    await world.used(world.b, 1000)
    # Its log is long, and it was told to look back one day only.
    await world.passed(3)
    await world.used(world.b, 2000)
    await note_uses(world.b.recorder, world.uses, days=1)
    dormancy = await begun(world)
    await world.passed(2)
    assert await world.round(world.a, dormancy) == ()
    assert await world.round(world.a, dormancy) == ()
    await world.passed(2)
    await note_uses(world.b.recorder, world.uses, days=1)
    assert await world.round(world.a, dormancy) == ()
    assert dormancy.waiting == (world.b.recorder.ledger.origin,)
    # Set alike, it reads its log again from where the rule looks.
    await note_uses(world.b.recorder, world.uses, days=DAYS)
    assert await world.round(world.a, dormancy) == ("scout",)


async def test_whoever_is_resumed_while_others_are_waited_for_stays() -> None:
    world = await shards()
    dormancy = await begun(world)
    await set_agent_status(world.b, SCOUT, "suspended", by="operator")
    await note_uses(world.b.recorder, world.uses, days=DAYS)
    for _ in range(DAYS + 1):
        world.bench.clock.advance(DAY)
        await note_uses(world.a.recorder, world.uses, days=DAYS, today=True)
    await world.b.recorder.ledger.append(sealed_entry(Tag.GAP, at=world.bench.clock.now(), members={}))
    assert await world.round(world.a, dormancy) == ()
    assert dormancy.waiting == (world.b.recorder.ledger.origin,)
    # b tells, and resumes scout before a has judged: a cannot know from any log that scout is wanted.
    await note_uses(world.b.recorder, world.uses, days=DAYS)
    await set_agent_status(world.b, SCOUT, "active", by="operator")
    assert await world.round(world.a, dormancy) == ("rover",)
    assert "scout" in world.bench.authority.registry.current.agents


async def test_of_two_processes_one_judges() -> None:
    world = await shards()
    ours, theirs = await begun(world), Dormancy()
    assert await world.round(world.b, theirs) == ()
    await world.passed(DAYS + 1)
    await note_uses(world.a.recorder, world.uses, days=DAYS)
    await world.passed(1)
    assert await world.round(world.b, theirs) == ()
    assert theirs.waiting == (world.a.recorder.ledger.origin,)
    assert await world.round(world.a, ours) == ("scout",)
    assert await world.round(world.b, theirs) == ()
    assert len([one for one in world.bench.entries(Tag.REGISTRY_CHANGE) if one.get("because")]) == 1
    # Where a is gone, and all that it published is known, b judges.
    await set_agent_status(world.b, SCOUT, "active", by="operator")
    await note_uses(world.a.recorder, world.uses, days=DAYS)
    for _ in range(DAYS + 1):
        world.bench.clock.advance(DAY)
        await world.used(world.b, 2000)
    assert await world.round(world.b, theirs) == ("scout",)


async def test_a_failing_register_suspends_nobody_and_is_asked_again() -> None:
    bench, workloads = await enrolling()
    for _ in range(DAYS + 1):
        bench.clock.advance(DAY)
        process = f"boot:2:{bench.clock.now()}"
        await enrol(workloads, evidence=evidence_of("unix:uid:2000"), key=None, process=process)

    class Failing(SqliteAgentUses):
        fails = True

        def days(self) -> frozenset[int]:
            if self.fails:
                raise Unavailable("the disk is gone", code="register.unavailable", port="register")
            return super().days()

    uses = fresh(Failing)
    async with anyio.create_task_group() as tasks:

        async def follow() -> None:
            await follow_dormancy(workloads, uses, days=DAYS, round_seconds=0.01)

        tasks.start_soon(follow)
        await until(
            lambda: uses.logs()[bench.recorder.ledger.origin].told > PATIENCE if uses.logs() else False
        )
        assert "scout" in bench.authority.registry.current.agents
        uses.fails = False
        await until(lambda: "scout" not in bench.authority.registry.current.agents)
        tasks.cancel_scope.cancel()
    # Rover runs.
    assert set(bench.authority.registry.current.agents) == {"rover"}


async def test_the_ledger_says_which_rule_suspended_an_agent_and_why_and_it_is_refused() -> None:
    bench, workloads = await enrolling()
    uses, dormancy = fresh(SqliteAgentUses), Dormancy()
    await suspend_dormant(workloads, uses, dormancy, days=DAYS)
    for _ in range(DAYS + 1):
        bench.clock.advance(DAY)
        await note_uses(bench.recorder, uses, days=DAYS, today=True)
    assert await suspend_dormant(workloads, uses, dormancy, days=DAYS) == ("rover", "scout")
    size = bench.recorder.ledger.size
    told = [bench.opened(index) for index in range(size)]
    mine = [(leaf, payload) for leaf, payload in told if leaf["tag"] == Tag.REGISTRY_CHANGE][-1]
    assert mine[0]["because"] == "it was not used for 5 days"
    assert mine[1]["by"] == RULE
    assert "Agent/scout" in str(mine[1]["changes"])
    with pytest.raises(Refused) as refused:
        await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    assert refused.value.code == "agent.inactive"
    # Its owner wakes it, which counts as use.
    await set_agent_status(workloads, SCOUT, "active", by="operator")
    assert await suspend_dormant(workloads, uses, dormancy, days=DAYS) == ()
    await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
