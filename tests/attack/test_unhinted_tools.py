"""Servers that say nothing of the harm of their tools, or less than before, or what the owner knows to be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.adapters.cedar import compiled
from answerable.adapters.sqlite import SqliteToolPinRegister
from answerable.core.ledger.tags import Tag
from answerable.core.mandate import oauth_terms as oauth
from answerable.core.mandate.hop_token import read_hop
from answerable.errors import Refused
from answerable.flows.registry.apply_registry import apply_registry, policy_text
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.walk.pin_tools import approve_tool, tier_in_force
from answerable.flows.walk.show_tools import changes_of, tool_state, weight_of
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.registers import fresh
from tests.worlds.delegation_lineage import asked, believing, mandated, root_of
from tests.worlds.parts import to_apply, to_approve, to_govern
from tests.worlds.token import documents, token_world
from tests.worlds.tool import approval, described, described_by, describing
from tests.worlds.walk import fields_of

pytestmark = pytest.mark.anyio

HARMLESS = described(annotations={"readOnlyHint": True, "openWorldHint": False})
SILENT = described()
OUTRIGHT = described(annotations={"readOnlyHint": False, "destructiveHint": True, "openWorldHint": True})
UP_TO_TWO = '@id("two") forbid(principal, action, resource) when { context.capability.tier > 2 };'


def registered_as(**spec: Any) -> list[Any]:
    """The bench's documents, with this in the capability of `get_case`."""
    documents: list[Any] = bench_documents()
    for one in documents:
        if one["kind"] == "Capability" and one["spec"]["target"] == "get_case":
            one["spec"] |= spec
    return documents


async def owned(tool: Any, **spec: Any) -> Bench:
    """A bench whose owner approved the tool as it is; nothing of a tier above 2 is allowed."""
    bench = Bench(pins=fresh(SqliteToolPinRegister))
    describing(bench, get_case=tool)
    await bench.registered(registered_as(**spec))
    await bench.issue()
    await approve_tool(*to_approve(bench.walk), approval(tool), by="operator")
    current = bench.authority.registry.current
    bench.walk.policies.decision_point = compiled(f"{policy_text(current)}\n{UP_TO_TWO}", current)
    return bench


async def refused(bench: Bench) -> str:
    with pytest.raises(Refused) as raised:
        await bench.act()
    return raised.value.code


def tiers_decided_at(bench: Bench) -> list[Any]:
    return [fields["question"]["context"]["capability"]["tier"] for fields in fields_of(bench, Tag.INTENT)]


@pytest.mark.requirement("HINT-01")
@pytest.mark.parametrize("kind", ["read", "write"])
async def test_a_server_that_says_nothing_is_not_trusted_more_than_one_that_says_the_worst(kind):
    assert await refused(await owned(SILENT, tier=0, kind=kind)) == "two"
    assert await refused(await owned(OUTRIGHT, tier=0, kind="write")) == "two"


@pytest.mark.requirement("HINT-01")
async def test_a_server_that_drops_its_hints_is_blocked_and_then_decided_at_the_worst():
    bench = await owned(HARMLESS, tier=0)
    await bench.act()
    assert tiers_decided_at(bench) == [0]
    described_by(bench).says["get_case"] = SILENT
    assert await refused(bench) == "tool.changed"
    bench.clock.advance(2)
    await approve_tool(*to_approve(bench.walk), approval(SILENT, over=HARMLESS, at=1), by="operator")
    assert await refused(bench) == "two"


@pytest.mark.requirement("HINT-02")
async def test_a_server_that_calls_a_tool_harmless_that_its_owner_says_writes_gains_nothing():
    says_read_only = described(annotations={"readOnlyHint": True})
    assert await refused(await owned(says_read_only, tier=1, kind="write")) == "two"
    assert await refused(await owned(described(), tier=1, kind="write")) == "two"
    bench = await owned(says_read_only, tier=1, kind="read")
    await bench.act()
    assert tiers_decided_at(bench) == [1]


@pytest.mark.requirement("HINT-02")
async def test_no_hint_brings_a_tool_below_the_tier_that_its_owner_wrote():
    bench = await owned(HARMLESS, tier=2, kind="read")
    await bench.act()
    assert tiers_decided_at(bench) == [2]
    assert await refused(await owned(HARMLESS, tier=3, kind="read", unhinted="accepted")) == "two"


@pytest.mark.requirement("HINT-03")
async def test_what_an_owner_accepts_is_silence_and_never_what_the_server_says():
    bench = await owned(SILENT, tier=0, unhinted="accepted")
    await bench.act()
    assert tiers_decided_at(bench) == [0]
    assert await refused(await owned(OUTRIGHT, tier=0, kind="write", unhinted="accepted")) == "two"
    one_said = await owned(described(annotations={"destructiveHint": True}), tier=0, unhinted="accepted")
    await one_said.act()
    assert tiers_decided_at(one_said) == [2]


@pytest.mark.requirement("HINT-03")
async def test_accepting_ends_with_the_line_that_said_it():
    bench = await owned(SILENT, tier=0, unhinted="accepted")
    await bench.act()
    await bench.registered(registered_as(tier=0))
    await bench.act()
    assert tiers_decided_at(bench) == [0, 3]


@pytest.mark.requirement("HINT-04")
async def test_a_tool_that_nothing_is_known_of_is_no_harmless_one():
    bench = await owned(HARMLESS, tier=0)
    capability = bench.authority.registry.current.capabilities["crm.read"]
    assert tier_in_force(bench.walk.verification, capability) == 0
    described_by(bench).gone.add("get_case")
    assert tier_in_force(bench.walk.verification, capability) == 3
    assert await refused(bench) == "upstream.unknown"


@pytest.mark.requirement("HINT-04")
@pytest.mark.parametrize(("spec", "single"), [({}, True), ({"unhinted": "accepted"}, False)])
async def test_a_token_for_a_tool_that_nothing_is_known_of_is_made_for_one_action(tmp_path, spec, single):
    async with token_world(tmp_path, tiers={"crm.read": 0}) as world:
        changed: list[Any] = documents(tmp_path, tiers={"crm.read": 0})
        for one in changed:
            if one["metadata"]["name"] == "crm.read":
                one["spec"] |= {"target": "of_another_server", **spec}
        await apply_registry(*to_apply(world.product.walk), changed, by="operator")
        await world.mandate()
        token = await world.root(requested_token_type=oauth.TYPE_ACCESS, scope="crm.read")
        claims = read_hop(token).raw.claims
        assert claims.get("answerable_single_use", False) is single


@pytest.mark.requirement("HINT-04")
@pytest.mark.parametrize(
    ("tool", "codes"),
    [
        (SILENT, ["acted", "mandate.budget_spent"]),
        (OUTRIGHT, ["acted", "mandate.budget_spent"]),
        (HARMLESS, ["acted", "acted"]),
    ],
)
async def test_a_token_acts_once_on_a_tool_that_says_nothing_whatever_tier_is_registered(tool, codes):
    bench = Bench(pins=fresh(SqliteToolPinRegister))
    describing(bench, get_case=tool)
    await bench.registered(registered_as(tier=0, kind="read" if tool is HARMLESS else "write"))
    mandate = await mandated(bench)
    believing(bench)
    await approve_tool(*to_approve(bench.walk), approval(tool), by="operator")
    root = root_of(bench, mandate, expires_at=bench.clock.now() // 1000 * 1000 + 3_500_000)
    found = []
    for _ in codes:
        try:
            await govern_action(*to_govern(bench.walk), *asked(bench, (root,), agent="scout"))
            found.append("acted")
        except Refused as refusal:
            found.append(refusal.code)
    assert found == codes


@pytest.mark.requirement("HINT-05")
async def test_whoever_approves_sees_what_was_dropped_and_what_it_comes_to():
    bench = await owned(OUTRIGHT, tier=0, kind="write", unhinted="accepted")
    assert weight_of(
        bench.authority.registry,
        tool_state(bench.authority, bench.walk.verification, bench.walk.limits, "crm", "get_case"),
    ) == (("its actions are decided at tier 3, above the 0 of capability `crm.read`", False),)
    described_by(bench).says["get_case"] = SILENT
    state = tool_state(bench.authority, bench.walk.verification, bench.walk.limits, "crm", "get_case")
    assert (state.standing, state.tier, state.unhinted_accepted) == ("changed", 0, True)
    grave = [
        one.text
        for one in changes_of(bench.authority.registry, bench.walk.verification.upstream, state)
        if one.grave
    ]
    for hint in ("destructiveHint was true", "openWorldHint was true", "readOnlyHint was false"):
        assert f"the server claims less risk than before: {hint} and is not said" in grave
    (accepted, tier) = weight_of(bench.authority.registry, state)
    assert accepted[1]
    assert tier == ("its actions are decided at tier 0, as capability `crm.read` has it", False)
