"""Tests of people go to those who are on duty, as every question does, and wake nobody."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.flows.approval.send_attention_check import asked_canary
from answerable.testing.builders import Bench
from tests.worlds.alike import pay, paying_bench, paying_documents
from tests.worlds.canary import TESTED
from tests.worlds.duty import duty_bench, duty_document, tell, with_people
from tests.worlds.parts import to_govern

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PACE-05")]

NOBODY = [{"people": ["bob"], "begins": "2031-01-01T00:00", "ends": "2031-01-02T00:00"}]


async def on_duty(**duty: Any) -> Bench:
    """A bench with tests, where somebody has said no to a real refund of 6,000."""
    bench = await duty_bench(bench=Bench(limits=TESTED), **duty)
    asked = (await bench.refund(6_000)).approval
    assert asked is not None
    await bench.answer(asked, verdict="deny")
    await tell(bench)
    return bench


async def tried(bench: Bench) -> Any:
    return await asked_canary(
        *to_govern(bench.walk), bench.asking.canaries.patterns[-1][1], bench.clock.now()
    )


async def test_a_test_is_told_to_who_is_on_duty_and_passed_on_as_any_question():
    bench = await on_duty()
    canary = await tried(bench)
    assert canary.canary is not None
    assert await tell(bench) == [(0, ("bob", "carol"))], "of two who are asked for, the second line is one"
    real = (await bench.refund(60_000)).approval
    assert real is not None
    assert await tell(bench) == [(0, ("bob", "carol"))], "as of a real one"
    assert [step for step, _ in await tell(bench, seconds=61)] == [1, 1], "and nobody looked at either"


async def test_nobody_is_tested_while_nobody_is_on_duty():
    bench = await on_duty(shifts=NOBODY)
    assert await tried(bench) is None
    assert (await bench.refund(60_000)).approval is not None
    assert await tell(bench) == [(0, ("bob", "carol", "erin"))], "whom a real question all wakes"


async def test_nobody_is_tested_while_fewer_are_on_duty_than_policy_asks_for():
    bench = await on_duty(shifts=[{"people": ["bob"]}])
    assert await tried(bench) is None, "it asks for two"


async def test_nobody_is_tested_in_quiet_hours():
    bench = await on_duty(quietHours={"from": "00:00", "until": "00:00"})
    assert await tried(bench) is not None, "what is critical is asked at any time"
    people = with_people(paying_documents(), erin=["approvers", "ops"])
    for hours, is_asked in ((None, True), ({"from": "00:00", "until": "00:00"}, False)):
        duty = duty_document(**({"quietHours": hours} if hours else {}))
        bench = await paying_bench(limits=TESTED, documents=[*people, duty])
        await bench.answer(await pay(bench, 1), verdict="deny")
        assert (await tried(bench) is not None) == is_asked


async def test_nobody_is_tested_of_whom_only_those_are_on_duty_whose_yes_would_not_count():
    bench = await on_duty(shifts=[{"people": ["erin"]}, {"people": ["bob"], "line": "second"}])
    assert (await tried(bench)) is not None
    bench = await on_duty(shifts=[{"people": ["alice"]}, {"people": ["bob"], "line": "second"}])
    assert (await tried(bench)) is None, "it is the task of one of them"
