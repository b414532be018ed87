"""Whatever ends a right to act between the decision and the start: the action does not start, and its end says why."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.registry.follow_registers import follow_registers
from answerable.flows.walk import await_documents
from answerable.flows.walk.find_plan import find_plan
from answerable.flows.walk.govern_action import govern_action
from answerable.ports.worlds import ANYTHING
from tests.worlds.authority_source import SOURCES, Source, Sourced, apply_elsewhere, sourced
from tests.worlds.parts import to_govern, to_plan

pytestmark = pytest.mark.anyio
BY_NAME = {one.name: one for one in SOURCES}


class Later:
    """An intent on its way to the disk, while something happens."""

    def __init__(self, submitted, happens) -> None:
        self.submitted, self.happens = submitted, happens
        self.receipt = submitted.receipt

    async def durable(self):
        await self.happens()
        return await self.submitted.durable()


async def acted_while(of: Sourced, happens):
    """The action, with this on the way of its intent to the disk."""
    ledger = of.walk.recorder.ledger
    submit = ledger.submit

    def on_its_way(entry):
        submitted = submit(entry)
        if entry.tag != Tag.INTENT:
            return submitted
        ledger.submit = submit
        return Later(submitted, happens)

    ledger.submit = on_its_way
    return await govern_action(*to_govern(of.walk), *of.asked())


@pytest.mark.requirement("HOUSE-12")
@pytest.mark.parametrize("name", BY_NAME)
async def test_what_ends_between_the_decision_and_the_start_starts_nothing(name: str):
    source: Source = BY_NAME[name]
    of = await sourced(source)
    before = len(of.bench.upstream.effects)
    epoch = of.walk.verification.worlds.epoch()
    answer = await acted_while(of, lambda: source.change(of))
    assert answer.outcome is not None
    assert of.walk.verification.worlds.epoch() != epoch
    hit = of.walk.verification.worlds.changed(epoch)
    assert hit is None if source.scope == ANYTHING else any(one.startswith(source.scope) for one in hit), hit
    if source.says:
        assert (answer.outcome.status, source.says in answer.outcome.detail) == ("not_started", True), answer
        assert len(of.bench.upstream.effects) == before
    else:
        assert answer.outcome.status == "succeeded"
        assert len(of.bench.upstream.effects) == before + 1


async def kept(of: Sourced):
    """The plan that the action has from when it was done last, which nothing has changed since."""
    found = find_plan(*to_plan(of.walk), *of.asked())
    assert find_plan(*to_plan(of.walk), *of.asked()) is found
    return found


@pytest.mark.requirement("HOUSE-16")
@pytest.mark.parametrize("name", BY_NAME)
async def test_a_plan_that_was_kept_lets_nothing_through_that_ended_since(name: str, monkeypatch):
    monkeypatch.setattr(await_documents, "WAIT_SECONDS_MAX", 0)
    source: Source = BY_NAME[name]
    of = await sourced(source)
    before = len(of.bench.upstream.effects)
    plan = await kept(of)
    await source.change(of)
    outcome = None
    with suppress(Refused, Unavailable):
        outcome = (await govern_action(*to_govern(of.walk), *of.asked())).outcome
    assert of.walk.verification.worlds.epoch() != plan.epoch
    # Refused, asked of people again, or not started where only the start looks at it.
    assert (outcome is not None and outcome.status == "succeeded") is not bool(source.says)
    assert len(of.bench.upstream.effects) == before + (not source.says)


@pytest.mark.requirement("HOUSE-16")
@pytest.mark.parametrize("name", BY_NAME)
async def test_a_plan_that_was_kept_starts_nothing_once_its_ground_is_gone(name: str):
    source: Source = BY_NAME[name]
    of = await sourced(source)
    before = len(of.bench.upstream.effects)
    await kept(of)
    answer = await acted_while(of, lambda: source.change(of))
    expected = ("not_started", before) if source.says else ("succeeded", before + 1)
    assert (answer.outcome.status, len(of.bench.upstream.effects)) == expected
    assert source.says in answer.outcome.detail


@pytest.mark.requirement("HOUSE-17")
async def test_an_action_waits_for_what_another_process_applied_and_is_decided_by_it():
    of = await sourced(BY_NAME["another process applies documents"])
    before = len(of.bench.upstream.effects)
    await kept(of)
    await apply_elsewhere(of)
    acting = asyncio.create_task(govern_action(*to_govern(of.walk), *of.asked()))
    await asyncio.sleep(0)
    assert not acting.done()
    assert len(of.walk.policies.registered) == 1
    follow_registers(
        of.walk.authority.registry,
        of.walk.counters.history,
        of.walk.policies,
        of.walk.limits,
        of.bench.store.refresh,
    )
    with pytest.raises(Refused, match="is not active"):
        await acting
    assert of.walk.policies.registered == []
    assert len(of.bench.upstream.effects) == before


@pytest.mark.requirement("HOUSE-17")
async def test_an_action_that_waits_too_long_for_them_has_no_effect_and_says_so(monkeypatch):
    monkeypatch.setattr(await_documents, "WAIT_SECONDS_MAX", 0.01)
    of = await sourced(BY_NAME["another process applies documents"])
    before = len(of.bench.upstream.effects)
    await apply_elsewhere(of)
    with pytest.raises(Unavailable) as raised:
        await govern_action(*to_govern(of.walk), *of.asked())
    assert (raised.value.code, raised.value.effect) == ("registry.coming", "none")
    assert len(of.bench.upstream.effects) == before
    assert of.walk.policies.registered == []


@pytest.mark.requirement("HOUSE-13")
async def test_where_nobody_can_say_what_changed_nothing_starts():
    of = await sourced(BY_NAME["an agent is held"])
    before = len(of.bench.upstream.effects)

    async def close() -> None:
        of.bench.store.close()
        of.bench.clock.advance(1)

    with pytest.raises(Unavailable) as raised:
        await acted_while(of, close)
    assert raised.value.code == "register.unavailable"
    assert len(of.bench.upstream.effects) == before
