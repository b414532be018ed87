"""Ways to pass a limit on people twice: by going to another process, by a restart, and by coming all at one moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from answerable.core.approval.approval import Approval
from answerable.core.approval.emergency_access import GLASS
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable, Unverified
from answerable.flows.approval.open_approval import open_to_answer
from answerable.flows.approval.record_view import note_looks
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.fault_injection import Fault, Trouble
from answerable.testing.soft_passkey import SoftPasskey
from answerable.testing.trouble_openings import TroubledOpenings
from tests.attack.test_passkey_answers import answered
from tests.worlds.alike import answer_all, asked_many, paying_bench
from tests.worlds.canary import TESTED, bench_with_tests, canary_on
from tests.worlds.click import CLICKS, clicking
from tests.worlds.glass import BREAKABLE, REASON
from tests.worlds.pace import begun, questions, replicas, sent, tapped
from tests.worlds.passkey import enrolled

pytestmark = pytest.mark.anyio


async def said(answer: Awaitable[Any]) -> str:
    try:
        await answer
    except (Refused, Unverified) as fault:
        return fault.code
    return "said"


# --- how often ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("PACE-01")
async def test_yeses_at_two_processes_at_one_moment_are_no_more_than_at_one(tmp_path: Path):
    made, both = await replicas(tmp_path, WalkLimits(answers_per_hour_max=3))
    waiting = await questions(made, both[0], 12)
    tokens = [begun(both[at % 2], one) for at, one in enumerate(waiting)]
    found = await asyncio.gather(
        *(
            said(sent(both[at % 2], one, token))
            for at, (one, token) in enumerate(zip(waiting, tokens, strict=True))
        )
    )
    assert Counter(found) == {"said": 3, "approval.too_fast": 9}
    made.refresh()
    states = [
        one.state for one in both[0].walk.authority.approvals.all(pending_only=False, now=made.clock.now())
    ]
    assert states.count("approved") == 3


@pytest.mark.requirement("PACE-01")
async def test_a_restart_gives_no_new_hour(tmp_path: Path):
    made, (bench,) = await replicas(tmp_path, WalkLimits(answers_per_hour_max=2), count=1)
    waiting = await questions(made, bench, 4)
    for one in waiting[:2]:
        await sent(bench, one, begun(bench, one))
    bench = made.restarted(bench)
    assert await said(sent(bench, waiting[2], begun(bench, waiting[2]))) == "approval.too_fast"
    no = begun(bench, waiting[2], verdict="deny")
    assert (await sent(bench, waiting[2], no)).state == "denied", "a no is always possible"
    carols = begun(bench, waiting[3], by="carol")
    assert (await sent(bench, waiting[3], carols)).state == "approved"


@pytest.mark.requirement("PACE-01")
async def test_what_was_refused_takes_no_place(tmp_path: Path):
    limits = WalkLimits(answers_per_hour_max=1)
    made, (bench,) = await replicas(tmp_path, limits, count=1)
    (one, other) = await questions(made, bench, 2)
    for _ in range(3):
        # Dan is in no group that is asked.
        assert await said(sent(bench, one, begun(bench, one, by="dan"))) == "approval.not_asked"
    assert bench.asking.openings.claim("dan", "approve", "x", at=made.clock.now(), since=0, most=1) is None
    await sent(bench, one, begun(bench, one))
    assert await said(sent(bench, other, begun(bench, other))) == "approval.too_fast"


@pytest.mark.requirement("PACE-01")
@pytest.mark.parametrize("fault", ["undone", "done"])
async def test_where_it_cannot_be_counted_nobody_says_yes_and_to_try_again_counts_once(fault: Fault):
    bench = await Bench(limits=WalkLimits(answers_per_hour_max=1)).registered()
    await bench.issue()
    asked = (await bench.refund(6_000)).approval
    assert asked is not None
    kept = bench.asking.openings
    bench.asking.openings = TroubledOpenings(
        kept, Trouble(lambda _, method: fault if method == "openings.claim" else None)
    )
    with pytest.raises(Unavailable):
        await bench.answer(asked)
    assert bench.authority.approvals.find(asked.id) == asked
    assert (await bench.answer(asked, verdict="deny", by="carol")).state == "denied", (
        "to say no counts nothing"
    )
    bench.asking.openings = kept
    other = (await bench.refund(6_001)).approval
    assert other is not None
    if fault == "done":
        with pytest.raises(Refused, match="within an hour"):
            await bench.answer(other)
    else:
        assert (await bench.answer(other)).state == "approved"


@pytest.mark.requirement("PACE-01")
async def test_a_list_of_which_nothing_was_answered_takes_no_place():
    bench = await paying_bench(limits=WalkLimits(answers_per_hour_max=1, look_seconds_min=(0, 0, 5, 5)))
    waiting = await asked_many(bench, 4)
    assert not (await answer_all(bench, waiting)).answered, "nobody looked"
    bench.asking.openings.look([one.id for one in waiting], "bob", bench.clock.now())
    bench.clock.advance(6)
    assert len((await answer_all(bench, waiting[:3])).answered) == 3, (
        "another list than the one that came to nothing"
    )


@pytest.mark.requirement("PACE-01")
async def test_a_test_takes_nothing_of_what_a_person_may_say_and_cannot_be_said_past_it():
    bench = await bench_with_tests(replace(TESTED, answers_per_hour_max=1))
    canary = await canary_on(bench)
    assert (await bench.answer(canary)).state == "void"
    real = (await bench.refund(6_001)).approval
    assert real is not None
    assert (await bench.answer(real)).state == "approved"
    bench.clock.advance(1)
    with pytest.raises(Refused, match="within an hour"):
        await bench.answer(await canary_on(bench))


@pytest.mark.requirement("PACE-01")
async def test_what_cannot_be_let_go_is_counted_and_hides_no_reason():
    bench = await Bench(limits=WalkLimits(answers_per_hour_max=1)).registered()
    await bench.issue()
    asked = (await bench.refund(6_000)).approval
    assert asked is not None
    bench.asking.openings = TroubledOpenings(
        bench.asking.openings, Trouble(lambda _, method: "undone" if method == "openings.let_go" else None)
    )
    assert await said(bench.answer(asked, by="dan")) == "approval.not_asked"
    other = (await bench.refund(6_001)).approval
    assert other is not None
    assert await said(bench.answer(other, by="dan")) == "approval.too_fast"


# --- for how long -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("PACE-02")
async def test_a_look_at_one_process_counts_at_another_and_after_a_restart(tmp_path: Path):
    made, both = await replicas(tmp_path, WalkLimits(look_seconds_min=(0, 0, 5, 5)))
    device = SoftPasskey(seed="bob")
    await enrolled(both[1], "bob", device)
    (one, other) = await questions(made, both[0], 2)
    await note_looks(both[0].walk.asking, both[0].walk.clock, "bob", [one])
    made.clock.advance(5)
    both[1] = made.restarted(both[1])
    assert (await answered(both[1], one, device)).state == "approved"
    assert await said(answered(both[1], other, device)) == "approval.too_soon"


@pytest.mark.requirement("PACE-02")
async def test_what_somebody_else_has_before_them_is_no_look_of_mine(tmp_path: Path):
    made, (bench,) = await replicas(tmp_path, WalkLimits(look_seconds_min=(0, 0, 5, 5)), count=1)
    (one,) = await questions(made, bench, 1)
    await note_looks(bench.asking, bench.clock, "carol", [one])
    theirs, _, _ = open_to_answer(
        bench.recorder.ledger, bench.authority, bench.asking.openings, bench.walk.entropy, one.id, to="carol"
    )
    made.clock.advance(60)
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    assert await said(answered(bench, one, device)) == "approval.too_soon"
    assert await said(tapped(bench, one, device, theirs)) == "approval.nonce"
    assert (await answered(bench, one, device, verdict="deny")).state == "denied"


@pytest.mark.requirement("PACE-02")
async def test_showing_a_card_again_writes_nothing_and_a_look_that_failed_is_tried_again():
    bench = await Bench().registered()
    await bench.issue()
    asked = (await bench.refund(6_000)).approval
    assert asked is not None
    trouble = Trouble(lambda number, _: "undone" if number == 0 else None)
    bench.asking.openings = TroubledOpenings(bench.asking.openings, trouble)
    await note_looks(bench.asking, bench.clock, "bob", [asked])
    assert bench.asking.openings.looked(asked.id, "bob") is None
    for _ in range(5):
        bench.clock.advance(1)
        await note_looks(bench.asking, bench.clock, "bob", [asked])
    assert trouble.calls.count("openings.look") == 2
    assert bench.asking.openings.looked(asked.id, "bob") == bench.clock.now() - 4_000


# --- nonces -------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("PACE-03")
async def test_an_answer_that_was_begun_before_a_restart_counts_and_counts_once(tmp_path: Path):
    made, (bench,) = await replicas(tmp_path, WalkLimits(), count=1)
    (one,) = await questions(made, bench, 1)
    token = begun(bench, one)
    bench = made.restarted(bench)
    assert (await sent(bench, one, token)).state == "approved"
    bench = made.restarted(bench)
    assert await said(sent(bench, one, token)) == "approval.nonce"


@pytest.mark.requirement("PACE-03")
async def test_one_nonce_at_two_processes_at_one_moment_serves_once(tmp_path: Path):
    made, both = await replicas(tmp_path, WalkLimits())
    (one,) = await questions(made, both[0], 1)
    token = begun(both[0], one)
    found = await asyncio.gather(*(said(sent(bench, one, token)) for bench in both))
    assert sorted(found) == ["approval.nonce", "said"]
    assert sum(len(bench.entries(Tag.APPROVAL_ANSWER)) for bench in both) == 1


@pytest.mark.requirement("PACE-03")
async def test_what_a_person_opened_nobody_else_answers_with(tmp_path: Path):
    made, both = await replicas(tmp_path, WalkLimits())
    (one,) = await questions(made, both[0], 1)
    device = SoftPasskey(seed="bob")
    await enrolled(both[1], "bob", device)
    theirs, _, _ = open_to_answer(
        both[0].walk.recorder.ledger,
        both[0].walk.authority,
        both[0].walk.asking.openings,
        both[0].walk.entropy,
        one.id,
        to="carol",
    )
    assert await said(tapped(both[1], one, device, theirs)) == "approval.nonce"
    mine, _, _ = open_to_answer(
        both[0].walk.recorder.ledger,
        both[0].walk.authority,
        both[0].walk.asking.openings,
        both[0].walk.entropy,
        one.id,
        to="bob",
    )
    assert (await tapped(both[1], one, device, mine)).state == "approved"


@pytest.mark.requirement("PACE-03")
async def test_a_nonce_is_over_in_time_at_every_process(tmp_path: Path):
    made, both = await replicas(tmp_path, WalkLimits())
    (one,) = await questions(made, both[0], 1)
    nonce, _, ends = open_to_answer(
        both[0].walk.recorder.ledger,
        both[0].walk.authority,
        both[0].walk.asking.openings,
        both[0].walk.entropy,
        one.id,
        to="bob",
    )
    device = SoftPasskey(seed="bob")
    await enrolled(both[1], "bob", device)
    made.clock.advance((ends - made.clock.now()) / 1000)
    assert await said(tapped(both[1], one, device, nonce)) == "approval.nonce"


@pytest.mark.requirement("PACE-03")
async def test_a_clock_that_was_set_back_gives_a_nonce_no_more_time(tmp_path: Path):
    made, (bench,) = await replicas(tmp_path, WalkLimits(), count=1)
    made.clock.advance(600)
    (one, other) = await questions(made, bench, 2)
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    early, late = (
        open_to_answer(
            bench.recorder.ledger,
            bench.authority,
            bench.asking.openings,
            bench.walk.entropy,
            asked.id,
            to="bob",
        )[0]
        for asked in (one, other)
    )
    made.clock.jump(-30)
    assert (await tapped(bench, other, device, late)).state == "approved", "a clock is corrected by seconds"
    made.clock.jump(-300)
    assert await said(tapped(bench, one, device, early)) == "approval.nonce"


# --- glasses ------------------------------------------------------------------------------------------------------


async def broken(bench: Bench, approval: Approval) -> Approval:
    token = begun(bench, approval, by="dan", verdict=GLASS, comment=REASON)
    return await sent(bench, approval, token)


@pytest.mark.requirement("PACE-04")
async def test_a_person_breaks_so_many_glasses_a_day_at_whatever_processes(tmp_path: Path):
    limits = WalkLimits(glasses_per_day_max=2)
    made, both = await replicas(tmp_path, limits, documents=bench_documents(BREAKABLE))
    waiting = await questions(made, both[0], 6)
    found = await asyncio.gather(*(said(broken(both[at % 2], one)) for at, one in enumerate(waiting)))
    assert Counter(found) == {"said": 2, "break_glass.too_many": 4}
    both[0] = made.restarted(both[0])
    made.refresh()
    left = next(iter(both[0].walk.authority.approvals.all(pending_only=True, now=made.clock.now())))
    with pytest.raises(Refused) as told:
        await broken(both[0], left)
    assert told.value.code == "break_glass.too_many"
    assert "another person of sales" in told.value.message
    assert "1 of approvers approve it" in told.value.message
    assert (await sent(both[0], left, begun(both[0], left))).state == "approved"


@pytest.mark.requirement("PACE-04")
async def test_after_a_day_there_are_glasses_again_and_what_was_refused_broke_none(tmp_path: Path):
    limits = WalkLimits(glasses_per_day_max=1, approval_ttl_ms=200_000_000)
    made, (bench,) = await replicas(tmp_path, limits, count=1, documents=bench_documents(BREAKABLE))
    await bench.issue("m-1b", calls_max=50, seconds=200_000)
    first, second, third = [
        (await bench.refund(6_100 + number, mandate="m-1b")).approval for number in range(3)
    ]
    short = begun(bench, first, by="dan", verdict=GLASS, comment="no")
    assert await said(sent(bench, first, short)) == "break_glass.no_reason"
    assert await said(broken(bench, first)) == "said"
    assert await said(broken(bench, second)) == "break_glass.too_many"
    made.clock.advance(86_400)
    assert await said(broken(bench, third)) == "said"


# --- clicks ----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("PACE-01")
async def test_clicks_in_a_chat_are_yeses_as_any_other():
    async with clicking(limits=replace(CLICKS, answers_per_hour_max=1)) as world:
        await world.asked(6_000)
        await world.press()
        other = await world.asked(7_000)
        await world.press()
        assert "within an hour" in world.whispers()[-1]
        assert world.now(other).state == "pending"


@pytest.mark.requirement("PACE-06")
@pytest.mark.parametrize("looked", [False, True])
async def test_of_a_click_it_is_on_record_when_a_page_showed_the_card_and_else_nothing(looked: bool):
    async with clicking() as world:
        asked = await world.asked()
        if looked:
            await note_looks(world.bench.asking, world.bench.clock, "bob", [asked])
        await world.press()
        (leaf,) = world.bench.entries(Tag.APPROVAL_ANSWER)
        assert leaf.get("opened") == (asked.created_at if looked else None)
