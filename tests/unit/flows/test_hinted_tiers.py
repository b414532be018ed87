"""At which tier an action is decided where a server says more of its tool than the capability, or less."""

from __future__ import annotations

import pytest

from answerable.adapters.cedar import compiled
from answerable.core.ledger.tags import Tag
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.walk.pin_tools import approve_tool
from tests.unit.flows.test_pin_tools import bench_with, documents_with, listed, refused
from tests.worlds.parts import to_approve
from tests.worlds.tool import approval, described
from tests.worlds.walk import fields_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("TOOL-07")]


@pytest.mark.parametrize(
    ("annotations", "spec", "accepted", "tier"),
    [
        ({"destructiveHint": True}, {"tier": 1}, 2, 3),
        ({"destructiveHint": True}, {"tier": 2, "kind": "write"}, 2, 3),
        ({"destructiveHint": True, "openWorldHint": True}, {"tier": 0}, 3, 3),
        ({"readOnlyHint": True}, {"tier": 0}, 0, 1),
        ({"readOnlyHint": True, "openWorldHint": False}, {"tier": 0}, 0, 0),
        ({"readOnlyHint": True, "openWorldHint": False}, {"tier": 3}, 3, 3),
        ({"readOnlyHint": True, "openWorldHint": False}, {"tier": 1, "kind": "write"}, 1, 2),
        ({"readOnlyHint": True, "openWorldHint": False}, {"tier": 0, "kind": "egress"}, 0, 0),
        ({"openWorldHint": True}, {"tier": 0}, 1, 3),
        ({}, {"tier": 0}, 0, 3),
    ],
)
@pytest.mark.parametrize("unhinted", ["", "accepted"])
async def test_hints_raise_the_tier_that_is_decided_at_and_never_lower_it(
    annotations, spec, accepted, tier, unhinted
):
    tool = described(annotations=annotations)
    if unhinted:
        spec, tier = spec | {"unhinted": unhinted}, accepted
    bench = await bench_with(get_case=tool, documents=documents_with(**spec))
    await approve_tool(*to_approve(bench.walk), approval(tool), by="operator")
    await bench.act()
    (fields,) = fields_of(bench, Tag.INTENT)
    assert fields["question"]["context"]["capability"]["tier"] == tier
    at_most = (
        f'@id("cap") forbid(principal, action, resource) when {{ context.capability.tier > {tier - 1} }};'
    )
    current = bench.authority.registry.current
    bench.walk.policies.decision_point = compiled(f"{policy_text(current)}\n{at_most}", current)
    assert await refused(bench) == "cap"


async def test_a_tool_that_says_it_writes_is_blocked_while_its_capability_says_it_reads():
    tool = described(annotations={"readOnlyHint": False})
    bench = await bench_with(get_case=tool, documents=documents_with(tier=3))
    await approve_tool(*to_approve(bench.walk), approval(tool), by="operator")
    assert await refused(bench) == "tool.riskier"
    assert listed(bench) == set()
