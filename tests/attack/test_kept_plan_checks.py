"""In service, some of the plans that were kept are made anew and compared: one that differs lets nothing through."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from answerable.core.containment.hold import holdable
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken
from answerable.flows.state.worlds import CHECKED_EACH, Plans
from answerable.flows.walk.find_plan import find_plan
from answerable.flows.walk.govern_action import govern_action
from answerable.ports.worlds import ANYTHING, Epoch, Plan
from tests.attack.test_holds import sample
from tests.attack.test_last_look import BY_NAME, acted_while
from tests.worlds.authority_source import Sourced, sourced
from tests.worlds.epochs import Still, look_around, put_epochs
from tests.worlds.parts import to_govern, to_plan

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOUSE-61")]

DAMAGE = {
    "identity": lambda plan: structs.replace(plan.identity, drifted=True),
    "capability": lambda plan: replace(plan.capability, tier=0),
    "resolved": lambda plan: replace(plan.resolved, capability=replace(plan.capability, tier=0)),
    "delegation_lineage": lambda plan: replace(
        plan.delegation_lineage, mandate=replace(plan.delegation_lineage.mandate, purpose="another")
    ),
    "definition": lambda plan: replace(plan.definition, digest="0" * 64),
    "principals": lambda plan: plan.principals[:0],
    "session": lambda plan: (*plan.session, object()),
    "judged": lambda plan: replace(plan.judged, names=plan.judged.names[1:]),
    "accounts": lambda plan: plan.accounts[:0],
    "prepares": lambda plan: not plan.prepares,
    "subject": lambda plan: f"{plan.subject} and another",
    "by_clock": lambda plan: not plan.by_clock,
    "scopes": lambda plan: plan.scopes - {"agent/scout"},
}
"""What else each part of a plan may be."""


async def planned(*, checked_each: int = 1) -> Sourced:
    """An action that was done once, whose plan is kept."""
    of = await sourced(BY_NAME["an agent is held"])
    of.walk.verification.plans = Plans(checked_each=checked_each)
    find_plan(*to_plan(of.walk), *of.asked())
    return of


def spoil(of: Sourced, field: str) -> None:
    """Damage the plan of the action, and no other."""
    kept = of.walk.verification.plans._kept
    for key, plan in kept.items():
        kept[key] = structs.replace(plan, **{field: DAMAGE[field](plan)})


def test_each_part_of_a_plan_is_compared():
    assert set(DAMAGE) == {*Plan.__struct_fields__} - {"epoch", "forms"}


@pytest.mark.parametrize("field", sorted(DAMAGE))
async def test_a_kept_plan_that_differs_refuses_the_action_drops_all_plans_and_is_told(field: str):
    of = await planned()
    before, intents = len(of.bench.upstream.effects), len(of.bench.entries(Tag.INTENT))
    spoil(of, field)
    if field == "definition":
        # What a server offers is compared at each action, and the plan made anew where it is another.
        await govern_action(*to_govern(of.walk), *of.asked())
        assert of.walk.verification.plans.difference is None
        return
    with pytest.raises(Broken, match=field) as raised:
        await govern_action(*to_govern(of.walk), *of.asked())
    assert (raised.value.code, raised.value.effect, raised.value.retry) == ("plan.differs", "none", False)
    assert len(of.bench.upstream.effects) == before
    assert len(of.bench.entries(Tag.INTENT)) == intents
    assert of.walk.verification.plans._kept == {}
    told = of.walk.verification.plans.difference
    assert (told.count, field in told.what, told.at) == (1, True, of.bench.clock.now())
    # Whoever asks again is verified anew.
    assert (await govern_action(*to_govern(of.walk), *of.asked())).outcome.status == "succeeded"
    assert len(of.bench.upstream.effects) == before + 1
    spoil(of, field)
    with pytest.raises(Broken):
        await govern_action(*to_govern(of.walk), *of.asked())
    assert of.walk.verification.plans.difference.count == 2


@pytest.mark.parametrize(
    "name",
    ["an agent is suspended", "an agent is revoked", "an agent is held", "another definition is let through"],
)
async def test_a_change_that_moves_no_epoch_is_found(name: str):
    of = await planned()
    before, epoch = len(of.bench.upstream.effects), of.walk.verification.worlds.epoch()
    await BY_NAME[name].change(of)
    put_epochs(of.walk, Still(epoch))
    with pytest.raises(Broken) as raised:
        await govern_action(*to_govern(of.walk), *of.asked())
    assert raised.value.code == "plan.differs"
    assert len(of.bench.upstream.effects) == before


async def test_a_plan_that_is_found_to_differ_at_the_last_look_starts_nothing():
    of = await planned()
    before = len(of.bench.upstream.effects)

    async def happens() -> None:
        of.walk.verification.worlds.change(frozenset({ANYTHING}))
        find_plan(*to_plan(of.walk), *of.asked())
        spoil(of, "judged")

    with pytest.raises(Broken) as raised:
        await acted_while(of, happens)
    assert raised.value.code == "plan.differs"
    assert len(of.bench.upstream.effects) == before
    assert [one["status"] for one in of.bench.entries(Tag.OUTCOME)][-1] == "not_started"


@pytest.mark.parametrize("look", [1, 2], ids=["the plan is found", "it is made anew"])
async def test_what_changed_during_the_check_is_no_difference(look: int):
    of = await planned()
    hold = sample(of.bench, holdable("agent", "scout"))
    looks: list[Epoch] = []

    def looked(epoch: Epoch) -> None:
        looks.append(epoch)
        if len(looks) == look:
            of.bench.authority.holds.place(hold)

    epochs = look_around(of.walk)
    before = find_plan(*to_plan(of.walk), *of.asked()).epoch
    # The change comes after this look at the epoch, and before what is made under it.
    epochs.after = looked
    plan = find_plan(*to_plan(of.walk), *of.asked())
    assert looks[:look] == [before] * look
    assert plan.epoch != before
    assert [one.what.name for one in plan.judged.holds] == ["scout"]
    assert of.walk.verification.plans.difference is None


async def test_one_of_so_many_is_checked():
    of = await planned(checked_each=CHECKED_EACH)
    assert CHECKED_EACH == 1_024
    spoil(of, "judged")
    asked = of.asked()
    for _ in range(CHECKED_EACH - 1):
        find_plan(*to_plan(of.walk), *asked)
    with pytest.raises(Broken):
        find_plan(*to_plan(of.walk), *asked)
    for _ in range(CHECKED_EACH):
        find_plan(*to_plan(of.walk), *asked)
    assert of.walk.verification.plans.difference.count == 1
