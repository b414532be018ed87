"""What is told of duty, in sentences."""

from __future__ import annotations

import pytest

from answerable.core.incident.timeline import Moment, told
from answerable.core.ledger.tags import Tag
from answerable.flows.escalation.appoint_deputy import end_duty
from answerable.testing.builders import Bench
from tests.worlds.duty import delegate, duty_bench, waiting
from tests.worlds.duty import tell as passed_on

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("DUTY-06")]


def story(bench: Bench, *tags: Tag) -> list[str]:
    lines = []
    for stored in bench.recorder.ledger.replay():
        if stored.tag in tags:
            leaf, fields = bench.opened(stored.index)
            lines.append(told(Moment(index=stored.index, tag=stored.tag, leaf=leaf, payload=fields)))
    return [line.text for line in lines]


async def test_a_question_that_is_passed_on_is_told_with_its_step():
    bench = await duty_bench()
    asked = await waiting(bench)
    await passed_on(bench)
    await passed_on(bench, seconds=60)
    await passed_on(bench, seconds=60)
    first, second = story(bench, Tag.APPROVAL_ESCALATED)
    assert first.endswith("was not answered: by step 1 of group approvers (second) 1 person was told.")
    assert second.endswith("by step 2 of group approvers (group) 3 people were told.")
    assert asked.id[:8] in first


async def test_who_stands_in_and_in_whose_place_somebody_answered_is_told():
    bench = await duty_bench()
    one = await delegate(bench)
    await bench.answer(await waiting(bench), by="dan")
    await end_duty(bench.recorder, bench.asking.duties, one.id, by="bob")
    given, ended = story(bench, Tag.DUTY)
    assert given.startswith("bob let dan stand in for them in group approvers from ")
    assert ended == "bob ended that dan stands in for bob in group approvers."
    (answer,) = story(bench, Tag.APPROVAL_ANSWER)
    assert answer.startswith("dan, for ")
    assert "in group approvers, approved approval" in answer
