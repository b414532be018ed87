"""Who is dormant, against a model that knows every day and every use, whatever two processes saw and when they told."""

from __future__ import annotations

from typing import Final

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.sqlite import SqliteAgentUses
from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.flows.counters.note_uses import note_uses
from answerable.flows.workloads.suspend_dormant import Dormancy
from answerable.testing.registers import fresh
from tests.worlds.dormancy import DAY, DAYS, shards

AGENTS: Final = (AgentId("rover"), AgentId("scout"))

# A day: how many pass in which nothing runs, then who is used in which log, and which process tells of it at once.
A_DAY = st.tuples(
    st.sampled_from([1, 1, 1, 1, 30]),
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(AGENTS)), max_size=2),
    st.frozensets(st.sampled_from(["a", "b"])),
)


@pytest.mark.requirement("LIFE-01")
@given(script=st.lists(A_DAY, min_size=6, max_size=12), restarted=st.booleans())
def test_whoever_was_used_in_no_log_on_the_days_that_count_is_dormant_and_nobody_else(
    script: list[tuple[int, list[tuple[str, AgentId]], frozenset[str]]], restarted: bool
) -> None:
    anyio.run(_judged_like_the_model, script, restarted)


async def _judged_like_the_model(
    script: list[tuple[int, list[tuple[str, AgentId]], frozenset[str]]], restarted: bool
) -> None:
    world = await shards()
    recorders = {"a": world.a.recorder, "b": world.b.recorder}
    clock = world.bench.clock
    today = clock.now() // (DAY * 1000)
    days, last = {today}, dict.fromkeys(AGENTS, today)
    for skipped, used, tells in script:
        clock.advance(skipped * DAY)
        today = clock.now() // (DAY * 1000)
        for log, agent in used:
            entry = sealed_entry(Tag.REFUSAL, at=clock.now(), members={"agent": agent})
            await recorders[log].ledger.append(entry)
            days.add(today)
            last[agent] = today
        for log in sorted(tells):
            await note_uses(recorders[log], world.uses, days=DAYS)
    if restarted:
        # Of a register that was lost everything is read again.
        world.uses = fresh(SqliteAgentUses)
    dormancy = Dormancy()
    assert await world.round(world.a, dormancy) == ()
    days.add(today)
    suspended = await world.round(world.a, dormancy)
    await note_uses(world.b.recorder, world.uses, days=DAYS)
    suspended += await world.round(world.a, dormancy)
    counted = sorted(days)[-DAYS - 1 :]
    dormant = tuple(agent for agent in AGENTS if len(counted) > DAYS and last[agent] < counted[0])
    assert (
        tuple(agent for agent in AGENTS if agent not in world.bench.authority.registry.current.agents)
        == dormant
    )
    assert tuple(sorted(suspended)) == dormant
