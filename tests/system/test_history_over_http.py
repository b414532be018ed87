"""Histories of agents on a real gateway: tokens, chains and mandates opened anew, racing callers, restarts."""

from __future__ import annotations

import pytest

from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.samples import document
from tests.worlds.parts import to_apply
from tests.worlds.token import narrow, outcome_of, succeeded, token_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HIST-07", "HIST-03", "HIST-06")]

READS_MAX = 3
LIMITS = document(
    "PolicySet",
    "limits",
    {
        "trackers": [
            {"name": "reads", "over": "agent", "within": "1h", "capabilities": ["crm.read"]},
            {"name": "of_task", "over": "mandate", "event": "succeeded"},
            {"name": "of_case", "over": "agent", "within": "1h", "sameResource": True},
        ],
        "policies": f"""
            @id("reads") @reason("this agent has read enough for an hour")
            forbid (principal, action == Action::"crm.read", resource)
            when {{ context.history.reads >= {READS_MAX} }};
        """,
    },
)


def told(response):
    return "has read enough" in response.text


def history(world, agent, mandate="m-1"):
    values = world.walk.counters.history.values(agent=agent, mandate=mandate, resource="", now=world.now())
    return values["reads"], values["of_task"]


async def test_a_new_token_chain_or_mandate_forgets_nothing_and_a_task_counts_for_all_who_work_on_it(
    tmp_path,
):
    async with token_world(tmp_path) as world:
        await apply_registry(*to_apply(world.walk), [LIMITS], by="operator")
        await world.mandate()
        port = int(world.url.rpartition(":")[2])
        for _ in range(READS_MAX - 1):
            assert succeeded(await world.call("orchestrator", chain=(await world.root(),)))
        root = await world.root()
        handed = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        assert succeeded(await world.call("researcher", chain=(root, handed)))
        assert (history(world, "orchestrator"), history(world, "researcher")) == ((2, 3), (1, 3))
        assert succeeded(await world.call("orchestrator", mandate="m-1"))
        assert told(await world.call("orchestrator", mandate="m-1"))
        assert told(await world.call("orchestrator", chain=(await world.root(),)))
        await world.mandate(identity="m-2")
        assert told(await world.call("orchestrator", mandate="m-2"))
        assert history(world, "orchestrator", "m-2") == (3, 0)
    # What the first process kept, and what it did not.
    for kept in (True, False):
        async with token_world(tmp_path, port=port) as world:
            assert (history(world, "orchestrator"), history(world, "researcher")) == ((3, 4), (1, 4))
            assert told(await world.call("orchestrator", chain=(await world.root(),)))
            if kept:
                with world.product.registers.write() as connection:
                    assert connection.execute("DELETE FROM history").rowcount >= 3
                    connection.execute("DELETE FROM history_kept")


async def test_callers_who_race_over_connections_of_their_own_do_not_pass_a_limit(tmp_path):
    ends = []
    async with token_world(tmp_path) as world:
        await apply_registry(*to_apply(world.walk), [LIMITS], by="operator")
        for identity in ("m-1", "m-2", "m-3"):
            await world.mandate(identity=identity)

        async def call(mandate):
            ends.append(await world.call("orchestrator", mandate=mandate))

        await world.at_once(lambda: call(f"m-{1 + len(ends) % 3}"), times=24)
        assert sum(succeeded(one) for one in ends) == READS_MAX
        assert all(succeeded(one) or told(one) for one in ends), [outcome_of(one) for one in ends]
        assert history(world, "orchestrator")[0] == READS_MAX
