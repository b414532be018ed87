"""What a hold denied: asked again, explained, and held against other policies."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest

from answerable.core.containment.hold import holdable
from answerable.core.decision.asked import read_question
from answerable.errors import Malformed, Refused
from answerable.flows.policy.simulate_policy import simulate_policy
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import POLICIES
from answerable.verify.denial import explain
from tests.attack.test_revocation_races import chained
from tests.unit.verify.test_decision_replay import asked_again, decisions, replayed
from tests.worlds.delegation_lineage import asked
from tests.worlds.hold import REACHING, bench_to_hold, stop
from tests.worlds.parts import to_govern, to_simulate
from tests.worlds.publication import house
from tests.worlds.revocation import act_as_instance

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOLD-14")]


@pytest.mark.parametrize("which", REACHING)
async def test_a_held_denial_replays_as_held_whatever_else_it_was(which):
    bench = await bench_to_hold()
    placed = await stop(bench, REACHING[which])
    with pytest.raises(Refused):
        await act_as_instance(bench)
    [found] = replayed(bench)
    assert found.verdict == "same"
    assert found.derived == found.recorded
    assert found.recorded.by == (f"held.{REACHING[which].kind}", placed.hold.id)


async def test_an_entry_that_says_another_hold_or_none_than_the_question_is_an_alarm():
    bench = await bench_to_hold()
    await stop(bench, holdable("agent", "scout"))
    with pytest.raises(Refused):
        await bench.act()
    entries, statements = decisions(bench)
    [entry] = entries
    question = msgspec.json.decode(entry.fields["question"])
    for wrong in (
        {"hold": {"id": "hold_" + "y" * 22, "kind": "agent"}},
        {"hold": {"id": question["hold"]["id"], "kind": "server"}},
        {"rule": ""},
        {"hold": None},
    ):
        text = msgspec.json.encode({**question, **wrong})
        changed = msgspec.structs.replace(entry, fields={**entry.fields, "question": text})
        assert asked_again(changed, statements).verdict == "differs", wrong
    with pytest.raises(Malformed):
        read_question(msgspec.json.encode({**question, "hold": "hold_x"}))


async def test_why_it_was_no_names_the_hold_and_the_lift_as_what_would_have_allowed_it():
    bench = await bench_to_hold()
    hold = (await stop(bench, holdable("server", "crm"))).hold
    with suppress(Refused):
        await bench.act()
    entries, statements = decisions(bench)
    leaf = entries[-1].leaf
    found = explain(entries[-1], policies=statements.policy_set(leaf), mandate=statements.mandate(leaf))
    assert found.reasons == ("held.server: server `crm` is held: nothing is done until the hold is lifted",)
    assert found.changes == (f"once hold `{hold.id}` was lifted or had run out",)


async def test_why_it_was_no_blames_the_hold_also_where_the_hops_are_not_shown():
    world, node, _ = await chained()
    bench = world.bench
    hold = (await stop(bench, holdable("agent", "third"))).hold
    with suppress(Refused):
        await govern_action(*to_govern(bench.walk), *asked(bench, node.chain))
    entries, statements = decisions(bench)
    leaf = entries[-1].leaf
    found = explain(entries[-1], policies=statements.policy_set(leaf), mandate=statements.mandate(leaf))
    assert found.changes[0] == f"once hold `{hold.id}` was lifted or had run out"


async def test_no_other_policies_would_have_let_through_what_was_held():
    bench = await bench_to_hold()
    await stop(bench, holdable("agent", "scout"))
    with suppress(Refused):
        await bench.act()
    free = POLICIES + '\n@id("all") permit (principal, action, resource);\n'
    page = await simulate_policy(*to_simulate(bench.walk), [house(free)])
    assert (page.tally.asked, page.tally.same, page.differences) == (1, 1, ())
