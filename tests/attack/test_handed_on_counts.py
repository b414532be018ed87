"""What is done under a part of a task counts for who did it and for the task, and holds nobody who handed it on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from answerable.adapters.sqlite import SqliteTokenRegister
from answerable.core.action.request import ActionRequest
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.flows.policy.place_triggered_holds import place_triggered_holds
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh
from tests.worlds.delegation_lineage import asked
from tests.worlds.parts import to_apply, to_govern
from tests.worlds.rule import HUGE, code_of, denied, fired, retried, rule
from tests.worlds.tree import tree_world

pytestmark = pytest.mark.anyio


def under(
    bench: Bench, node: Any, target: str, arguments: Any, *, mandate: str = ""
) -> tuple[ActionRequest, VerifiedCaller]:
    """An action under a chain."""
    _, caller = asked(bench, node.chain, agent=node.agent)
    action, again = bench.request(target, arguments, agent=node.agent, mandate=mandate)
    action = msgspec.structs.replace(action, delegation="~".join(node.chain))
    return action, msgspec.structs.replace(again, key=caller.key)


def huge(bench: Bench, node: Any) -> tuple[ActionRequest, VerifiedCaller]:
    """A refund under a chain that policy denies."""
    return under(bench, node, "refund", {"case": "1", "amount": HUGE})


@pytest.mark.requirement("RULE-04")
async def test_who_hands_on_and_lets_others_be_denied_is_held_with_all_that_act_for_it_by_a_rule_over_mandates():
    world = await tree_world(fresh(SqliteTokenRegister, entropy=SeededEntropy("tokens")))
    bench = world.bench
    await apply_registry(*to_apply(bench.walk), [denied(2, over="mandate")], by="operator")
    root = await world.root()
    nodes = [world.offline(root, taker) for taker in ("rover", "third", "fourth")]
    ends = []
    for node in nodes:
        request, caller = huge(bench, node)
        ends.append(await code_of(govern_action(*to_govern(bench.walk), request, caller)))
    assert "held.mandate" not in ends
    request, caller = asked(bench, nodes[0].chain, agent="rover")
    assert await code_of(govern_action(*to_govern(bench.walk), request, caller)) == "held.mandate"
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    # Each of them was denied once; all of it was for one task.
    assert fired(bench) == [("denials", "held", "mandate", "m-1")]


@pytest.mark.requirement("RULE-04")
@pytest.mark.parametrize(
    "ruling",
    [
        denied(2),
        denied(2, holds="server"),
        denied(2, over="mandate", holds="instance"),
        retried(2),
        denied(2, over="mandate", holds="tool"),
        rule("canary", "canary", canary={"values": ["honey-1"]}),
    ],
    ids=lambda one: " ".join(str(one["spec"].get(key, "")) for key in ("watches", "over", "holds")),
)
async def test_whoever_was_handed_a_part_has_nobody_above_it_held(ruling: Any):
    world = await tree_world(fresh(SqliteTokenRegister, entropy=SeededEntropy("tokens")))
    bench = world.bench
    await apply_registry(*to_apply(bench.walk), [ruling], by="operator")
    node = world.offline(await world.root(), "rover")
    for _ in range(4):
        for acting in rovers(bench, node):
            await code_of(acting)
    stands = bench.authority.tripped.tripped
    assert stands
    assert "scout" not in {one.name for one in stands}
    # A tool or server that is to stand still for whoever has a right to it does so for all.
    assert await code_of(bench.act()) in {
        "succeeded",
        *(f"held.{one.kind}" for one in stands if one.kind != "agent"),
    }


def rovers(bench: Bench, node: Any) -> Any:
    """What rover tries under its part: what policy denies, what it may, a trap, and what is not its to ask for."""
    for key, arguments, mandate in (
        ("refund", {"case": "1", "amount": HUGE}, ""),
        ("get_case", {"case": "4711"}, ""),
        ("get_case", {"case": "honey-1"}, ""),
        ("get_case", {"case": "4711"}, "m-9"),
    ):
        request, caller = under(bench, node, key, arguments, mandate=mandate)
        yield govern_action(*to_govern(bench.walk), request, caller)
