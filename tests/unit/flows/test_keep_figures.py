"""What control costs, counted from a ledger that the walk wrote."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from answerable.adapters.sqlite import SqliteFiguresRegister
from answerable.core.action.outcome import Outcome
from answerable.core.ledger.approval_statistics import HOUR_MS, Figures
from answerable.core.ledger.figure_cells import UNSAID, Group
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.approval import keep_figures as kept_figures
from answerable.flows.approval.keep_figures import FORM, keep_figures
from answerable.flows.approval.report_statistics import report_statistics
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from tests.worlds.figures import PAY, READ, cells_of, comparable, counted_again, figures_of, ready
from tests.worlds.parts import to_apply, to_oversee

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("STAT-01")
async def test_what_ran_alone_was_asked_about_and_was_refused_is_counted_by_tier_and_use_case():
    bench = await ready()
    for _ in range(3):
        await bench.act()
    await bench.refund(100)
    asked = await bench.refund(6_000)
    await bench.answer(asked.approval)
    await bench.refund(6_000)
    with pytest.raises(Refused):
        await bench.refund(2_000_000)
    cells = await cells_of(bench)
    assert (cells[READ].alone, cells[READ].asked, cells[READ].refused) == (3, 0, 0)
    pay = cells[PAY]
    assert (pay.alone, pay.asked, pay.refused, pay.actions) == (1, 1, 1, 3)
    assert (pay.after_approval, pay.approved, pay.denied) == (1, 1, 0)
    assert (cells[READ].succeeded, pay.succeeded) == (3, 2)
    assert cells[Group("", "support")].tasks == 1


@pytest.mark.requirement("STAT-01")
async def test_what_was_refused_before_the_capability_was_known_is_of_no_tier():
    bench = await ready()
    with pytest.raises(Refused):
        await bench.act("no_such_tool", {"case": "4711"})
    cells = await cells_of(bench)
    assert cells[Group("", "support")].refused == 1
    assert READ not in cells
    assert PAY not in cells


@pytest.mark.requirement("STAT-01")
async def test_refusals_past_the_quota_are_counted_and_of_nothing_in_particular():
    from answerable.flows.recovery.settle_open_intents import record_counted_refusals

    bench = await ready(limits=WalkLimits(refusals_recorded_max=2))
    for _ in range(5):
        with pytest.raises(Refused):
            await bench.refund(2_000_000)
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    cells = await cells_of(bench)
    assert cells[PAY].refused == 2
    assert cells[UNSAID].counted == 3


@pytest.mark.requirement("STAT-01")
async def test_ends_are_counted_as_they_were():
    bench = await ready()
    for status in ("succeeded", "failed", "failed", "indeterminate"):
        bench.upstream.answer = lambda _, status=status: Outcome(status=status, detail="as told")
        await bench.act()
    cell = (await cells_of(bench))[READ]
    assert (cell.succeeded, cell.failed, cell.indeterminate, cell.not_started) == (1, 2, 1, 0)
    assert (cell.alone, cell.effects) == (4, 2)


@pytest.mark.requirement("STAT-03")
async def test_a_wait_ends_with_the_answer_that_decides_and_not_with_one_that_does_not():
    bench = await ready()
    asked = await bench.refund(60_000)
    bench.clock.advance(5)
    await bench.answer(asked.approval, by="bob")
    cells = await cells_of(bench)
    assert (cells[PAY].approved, cells[PAY].waits.count) == (0, 0)
    bench.clock.advance(2)
    await bench.answer(asked.approval, by="carol")
    cells = await cells_of(bench)
    assert (cells[PAY].approved, cells[PAY].waits.exact) == (1, [7_000])


@pytest.mark.requirement("STAT-03")
async def test_a_question_waits_until_it_runs_out_and_then_nobody_answered_it():
    bench = await ready()
    await bench.refund(6_000)
    told = await report_statistics(*to_oversee(bench.walk))
    assert told.waiting == {PAY: 1}
    assert told.groups[PAY].unanswered == 0
    bench.clock.advance(bench.walk.limits.approval_ttl_ms / 1000)
    told = await report_statistics(*to_oversee(bench.walk))
    assert told.waiting == {}
    assert (told.groups[PAY].unanswered, told.groups[PAY].waits.count) == (1, 0)


@pytest.mark.requirement("STAT-01")
async def test_a_window_has_what_happened_in_its_hours_and_nothing_before():
    bench = await ready()
    await bench.act()
    bench.clock.advance(HOUR_MS / 1000 - 60)
    await bench.act()
    await bench.act()
    since = bench.clock.now()
    assert (await cells_of(bench, since))[READ].alone == 2
    assert (await cells_of(bench))[READ].alone == 3


@pytest.mark.requirement("STAT-02")
async def test_a_restart_goes_on_where_the_process_before_was_and_reads_no_entry_again():
    bench = await ready()
    await bench.act()
    await bench.refund(6_000)
    await figures_of(bench)
    await keep_figures(bench.recorder.ledger, bench.asking.figures, bench.clock)
    register = bench.asking.figures.register
    kept = register.kept(bench.recorder.ledger.origin)
    assert kept.entries == bench.recorder.ledger.size

    again = Bench(clock=bench.clock, ledger=bench.recorder.ledger, registry=bench.authority.registry)
    again.walk.asking.figures.register = register
    read_from = []
    whole = again.walk.recorder.ledger.replay

    def counted(start: int = 0) -> Any:
        read_from.append(start)
        return whole(start)

    again.walk.recorder.ledger.replay = counted
    try:
        figures = await figures_of(again)
    finally:
        del again.walk.recorder.ledger.replay
    assert read_from == []
    now = bench.clock.now()
    assert comparable(figures, now) == comparable(counted_again(bench.recorder.ledger), now)
    assert figures.waiting(now) == {PAY: 1}


@pytest.mark.requirement("STAT-02")
@pytest.mark.parametrize("spoilt", ["form", "ahead", "rows", "nothing"])
async def test_what_is_kept_and_cannot_be_is_counted_again(spoilt):
    bench = await ready()
    await bench.act()
    await figures_of(bench)
    await keep_figures(bench.recorder.ledger, bench.asking.figures, bench.clock)
    register, origin, size = (
        bench.asking.figures.register,
        bench.recorder.ledger.origin,
        bench.recorder.ledger.size,
    )
    rows = {"-1/1/support": b"{}"} if spoilt == "rows" else {"-1/9/lies": b"[99]"}
    if spoilt == "nothing":
        register = fresh(SqliteFiguresRegister)
    else:
        register.keep(
            origin,
            rows,
            entries=size + (spoilt == "ahead"),
            form=FORM + (spoilt == "form"),
            at=0,
            beside=b"",
            anew=False,
        )
    again = Bench(clock=bench.clock, ledger=bench.recorder.ledger, registry=bench.authority.registry)
    again.walk.asking.figures.register = register
    now = bench.clock.now()
    assert comparable(await figures_of(again), now) == comparable(counted_again(bench.recorder.ledger), now)
    await keep_figures(again.walk.recorder.ledger, again.walk.asking.figures, again.walk.clock)
    assert all("lies" not in name for name in register.kept(origin).rows)


@pytest.mark.requirement("STAT-02")
async def test_what_could_not_be_kept_is_kept_the_next_time():
    class Full(SqliteFiguresRegister):
        full = True

        def keep(self, *given, **more):
            if self.full:
                raise Unavailable("the disk is full", code="register.full", port="registers")
            super().keep(*given, **more)

    bench = await ready()
    bench.asking.figures.register = register = fresh(Full)
    await bench.act()
    await figures_of(bench)
    with pytest.raises(Unavailable):
        await keep_figures(bench.recorder.ledger, bench.asking.figures, bench.clock)
    register.full = False
    await keep_figures(bench.recorder.ledger, bench.asking.figures, bench.clock)
    again = Bench(clock=bench.clock, ledger=bench.recorder.ledger, registry=bench.authority.registry)
    again.walk.asking.figures.register = register
    now = bench.clock.now()
    assert comparable(await figures_of(again), now) == comparable(counted_again(bench.recorder.ledger), now)


@pytest.mark.requirement("STAT-02")
async def test_several_who_ask_at_once_count_each_entry_once():
    bench = await ready()
    for _ in range(50):
        await bench.act()
    await asyncio.gather(*(report_statistics(*to_oversee(bench.walk)) for _ in range(5)))
    assert (await cells_of(bench))[READ].alone == 50


@pytest.mark.requirement("STAT-08")
async def test_the_logs_of_other_processes_are_in_it_as_they_were_kept_last():
    bench = await ready()
    await bench.act()
    await figures_of(bench)
    await keep_figures(bench.recorder.ledger, bench.asking.figures, bench.clock)
    register = bench.asking.figures.register
    kept = register.kept(bench.recorder.ledger.origin)
    register.keep("log.example/other", kept.rows, entries=7, form=FORM, at=5, beside=kept.beside, anew=True)
    register.keep("log.example/older", {}, entries=3, form=FORM - 1, at=4, beside=b"", anew=True)
    told = await report_statistics(*to_oversee(bench.walk))
    assert told.groups[READ].alone == 2
    assert [(one.origin, one.entries, one.size is None, one.unread) for one in told.logs[1:]] == [
        ("log.example/older", 3, True, True),
        ("log.example/other", 7, True, False),
    ]
    assert told.logs[2].latency.count == bench.asking.figures.latency.count > 0
    assert told.policy_set == bench.walk.policies.decision_point.policy_set


@pytest.mark.requirement("STAT-07")
async def test_every_decision_is_measured_whatever_came_of_it():
    bench = await ready()
    latency = bench.asking.figures.latency
    assert latency.count == 0
    await bench.act()
    # The first action of a mandate is decided again once what its intent refers to has been written down.
    first = latency.count
    await bench.act()
    assert latency.count == first + 1
    await bench.refund(6_000)
    assert latency.count == first + 2
    with pytest.raises(Refused):
        await bench.refund(2_000_000)
    assert latency.count == first + 3


@pytest.mark.requirement("STAT-06")
async def test_effects_are_followed_to_the_person_who_gave_the_task():
    bench = await ready()
    for _ in range(4):
        await bench.act()
    cells = await cells_of(bench)
    assert (cells[READ].traced, cells[READ].untraced, cells[READ].effects) == (4, 0, 4)
    assert cells[READ].tracing.count == 4


@pytest.mark.requirement("STAT-06")
async def test_of_many_effects_a_sample_is_followed_and_it_says_how_many():
    bench = await ready()
    for _ in range(60):
        await bench.act()
    cell = (await cells_of(bench))[READ]
    assert cell.effects == 60
    assert 0 < cell.traced <= 10
    assert cell.untraced == 0


@pytest.mark.requirement("HOUSE-36")
async def test_however_short_the_pages_are_no_more_effects_are_followed_than_an_hour_allows(monkeypatch):
    bench = await ready()
    monkeypatch.setattr(kept_figures, "TRACED_AT_ONCE_MAX", 3)
    for _ in range(6):
        await bench.act()
        cell = (await cells_of(bench))[READ]
    assert (cell.effects, cell.traced) == (6, 3)
    bench.clock.advance(3_600 // kept_figures.TRACED_PER_HOUR_MAX)
    for _ in range(3):
        await bench.act()
        cell = (await cells_of(bench))[READ]
    assert (cell.effects, cell.traced) == (9, 4)


@pytest.mark.requirement("STAT-01")
async def test_entries_that_do_not_say_a_tier_are_told_apart():
    """As ledgers have them that were written before entries said it."""
    bench = await ready()
    await bench.act()
    (intent,) = [one for one in bench.recorder.ledger.replay() if one.tag == Tag.INTENT]
    from msgspec.structs import replace

    older = replace(intent, leaf=intent.leaf.replace(b'"tier":1,', b""))
    figures = Figures()
    figures.fold(older, bench.recorder.ledger.entry)
    assert figures.within(0, bench.clock.now())[Group("", "support")].alone == 1


@pytest.mark.requirement("STAT-01")
async def test_an_entry_that_cannot_be_read_is_counted_as_that():
    from msgspec.structs import replace

    bench = await ready()
    await bench.act()
    (intent,) = [one for one in bench.recorder.ledger.replay() if one.tag == Tag.INTENT]
    figures = Figures()
    figures.fold(replace(intent, leaf=b'{"at":"noon"}'), bench.recorder.ledger.entry)
    assert figures.within(0, bench.clock.now())[UNSAID].unreadable == 1


@pytest.mark.requirement("STAT-08")
async def test_revocations_and_changes_of_policy_are_counted():
    from answerable.flows.registry.apply_registry import apply_registry
    from answerable.testing.builders import POLICIES, bench_documents

    bench = await ready()
    before = (await cells_of(bench)).get(UNSAID)
    changes = before.policy_changes if before is not None else 0
    documents = bench_documents(POLICIES + '@id("more") forbid (principal, action, resource) when { false };')
    await apply_registry(*to_apply(bench.walk), documents, by="operator")
    assert (await cells_of(bench))[UNSAID].policy_changes == changes + 1
    # What policies are checked against changes with any agent; no policy does.
    (person,) = [one for one in documents if one["metadata"]["name"] == "dan"]
    person["spec"]["groups"] = ["sales", "approvers"]
    await apply_registry(*to_apply(bench.walk), documents, by="operator")
    assert (await cells_of(bench))[UNSAID].policy_changes == changes + 1
