"""Policies see by whom a task was handed on, and nobody along the way can make it look otherwise."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from tests.worlds.token import narrow, succeeded, token_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("FACTS-02")]

POLICIES = """
@id("all") permit(principal, action, resource);
@id("handed-on-once")
forbid(principal, action, resource) when { context.chain.depth > 1 };
@id("not-through-the-stranger")
forbid(principal, action, resource) when { context.chain.agents.contains("stranger") };
@id("roots")
forbid(principal, action, resource) unless { context.chain.root == "orchestrator" };
"""


async def test_depth_counts_how_often_a_task_was_handed_on(tmp_path):
    async with token_world(tmp_path, policies=POLICIES) as world:
        await world.mandate()
        root = await world.root()
        second = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        third = world.handed((root, second), "researcher", "writer", narrow(("crm.read",), second))
        assert succeeded(await world.call("orchestrator", mandate="m-1"))
        assert succeeded(await world.call("orchestrator", chain=(root,)))
        assert succeeded(await world.call("researcher", chain=(root, second)))
        await world.call("writer", chain=(root, second, third))
        (refused,) = world.entries(Tag.REFUSAL)
        assert refused["by"] == ["handed-on-once"]
