"""Laws of figures: to count on is to count again, and quantiles are never below the truth."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answerable.adapters.sqlite import SqliteFiguresRegister
from answerable.core.ledger.approval_statistics import HOUR_MS, Figures, restored
from answerable.core.ledger.spread import EXACT_MAX, VALUE_MAX, Spread, bucket_of, upper_edge
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.approval.keep_figures import keep_figures
from answerable.flows.state.figures_desk import StatisticsState
from answerable.testing.clock import START
from answerable.testing.registers import fresh
from tests.probes.example_counts import examples
from tests.worlds.figures import comparable, counted_again, entry, figures_of, folded, ready

TAGS = (
    Tag.INTENT, Tag.INTENT, Tag.OUTCOME, Tag.INDETERMINATE, Tag.REFUSAL, Tag.REFUSALS_COUNTED, Tag.APPROVAL_ASKED,
    Tag.APPROVAL_ANSWER, Tag.MANDATE_ISSUED, Tag.REVOKED, Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.WORKLOAD_ENDED,
    Tag.POLICY_CHANGE, Tag.GENESIS,
)  # fmt: skip
values = st.integers(0, 200) | st.integers(0, VALUE_MAX)
steps = st.one_of(
    st.sampled_from(("read", "small", "large", "never", "yes", "no", "count", "keep", "crash", "lost")),
    st.tuples(st.just("passes"), st.integers(1, 9_000)),
    st.tuples(st.just("set back"), st.integers(1, 9_000)),
)


@pytest.mark.requirement("STAT-02")
@given(script=st.lists(steps, max_size=30), back_hours=st.integers(0, 6))
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_figures_that_were_counted_on_equal_those_counted_from_the_first_entry(script, back_hours):
    anyio.run(_played, script, back_hours)


async def _played(script, back_hours):
    bench = await ready()
    asked, task = [], ["m-1"]
    for step in script:
        await _stepped(bench, step, asked, task)
    figures, now = await figures_of(bench), bench.clock.now()
    again = counted_again(bench.recorder.ledger)
    assert figures.entries == bench.recorder.ledger.size == again.entries
    since = now - back_hours * HOUR_MS if back_hours else 0
    assert comparable(figures, now, since) == comparable(again, now, since)
    assert figures.waiting(now) == again.waiting(now)


async def _stepped(bench, step, asked, task):
    walk = bench.walk
    match step:
        case "read" | "small" | "large" | "never":
            amount = {"small": 10, "large": 6_000 + len(asked), "never": 2_000_000}.get(step)
            try:
                acting = bench.act if amount is None else partial(bench.refund, amount)
                answer = await acting(mandate=task[-1])
            except Refused:
                return
            if answer.approval is not None and answer.approval not in asked:
                asked.append(answer.approval)
        case "yes" | "no" if asked:
            try:
                await bench.answer(asked.pop(), verdict="approve" if step == "yes" else "deny")
            except Refused:
                return
        case "count":
            await figures_of(bench)
        case "keep":
            await keep_figures(walk.recorder.ledger, walk.asking.figures, walk.clock)
        case "crash":
            walk.asking.figures = StatisticsState(register=walk.asking.figures.register)
        case "lost":
            walk.asking.figures = StatisticsState(register=fresh(SqliteFiguresRegister))
        case ("passes", seconds):
            bench.clock.advance(seconds)
            task.append((await bench.issue(f"m-{walk.recorder.ledger.size}", calls_max=100)).id)
        case ("set back", seconds):
            bench.clock.jump(-seconds)


SHADOW = "drill-scout-0123abcd"


@st.composite
def logs(draw):
    """Entries of every kind that is counted, about the same few actions, tasks and stops."""
    found = []
    for index in range(draw(st.integers(0, 60))):
        some = st.integers(0, max(0, index))
        intents = draw(st.lists(some, max_size=4, unique=True))
        leaf = {
            "tier": draw(st.integers(0, 2)),
            "use_case": draw(st.sampled_from(("support", "finance", SHADOW))),
            "agent": draw(st.sampled_from(("scout", SHADOW))),
            "passed": draw(st.booleans()),
            "approval": draw(st.sampled_from(("", "a", "b", "c"))),
            "state": draw(st.sampled_from(("pending", "approved", "denied"))),
            "status": draw(st.sampled_from(("succeeded", "failed", "not_started", "indeterminate"))),
            "intent": draw(some),
            "expires": START + draw(st.integers(0, 3)) * HOUR_MS,
            "since": START + draw(st.integers(-5, 5)) * 1_000,
            "in_flight": intents,
            "in_flight_count": draw(st.sampled_from((len(intents), len(intents) + 1))),
            "how": draw(st.sampled_from(("one_person", "registry"))),
            "source": draw(st.sampled_from(("person", "drill"))),
            "agents": {"scout": draw(st.integers(0, 9)), SHADOW: draw(st.integers(0, 9))},
            "at": START + draw(st.integers(-2, 3)) * HOUR_MS,
        }
        found.append(entry(index, draw(st.sampled_from(TAGS)), **leaf))
    return found


@pytest.mark.requirement("STAT-02")
@given(entries=logs(), cuts=st.sets(st.integers(0, 60), max_size=8), since=st.integers(0, 3))
@settings(max_examples=examples(200), deadline=None)
def test_whatever_stands_in_a_log_a_restart_anywhere_changes_no_figure(entries, cuts, since):
    figures, rows = Figures(), {}
    for one in entries:
        if one.index in cuts:
            rows |= figures.take_changed()
            kept = {name: row for name, row in rows.items() if row is not None}
            figures = restored(kept, figures.entries)
        figures.fold(one, entries.__getitem__)
    whole, now = folded(entries), START + 2 * HOUR_MS
    assert figures.entries == len(entries)
    assert comparable(figures, now) == comparable(whole, now)
    begins = now - since * HOUR_MS if since else 0
    assert comparable(figures, now, begins) == comparable(whole, now, begins)
    assert figures.waiting(now) == whole.waiting(now)


@pytest.mark.requirement("STAT-03")
@given(st.lists(values, max_size=300), st.integers(1, 100))
def test_a_quantile_is_exact_for_few_and_at_most_a_32th_above_for_many(given_values, percent):
    spread = Spread()
    for value in given_values:
        spread.add(value)
    told = spread.at(percent)
    assert spread.count == len(given_values)
    if not given_values:
        assert told is None
        return
    true = sorted(given_values)[max(1, -(-len(given_values) * percent // 100)) - 1]
    assert true <= told <= true + true // 32
    if len(given_values) <= EXACT_MAX:
        assert spread.is_exact
        assert told == true


@pytest.mark.requirement("STAT-03")
@given(st.lists(values, max_size=120), st.lists(values, max_size=120), st.randoms())
def test_two_joined_in_any_order_are_all_values_in_one(one, other, chance):
    both, left, right = Spread(), Spread(), Spread()
    together = [*one, *other]
    chance.shuffle(together)
    for spread, these in ((both, together), (left, one), (right, other)):
        for value in these:
            spread.add(value)
    joined, turned = Spread(), Spread()
    for into, parts in ((joined, (left, right)), (turned, (right, left))):
        for part in parts:
            into.join(part)
    assert joined.exact == turned.exact == both.exact
    assert joined.buckets == turned.buckets == both.buckets


@pytest.mark.requirement("STAT-03")
@given(values)
def test_buckets_follow_one_another_without_a_gap(value):
    edge = upper_edge(bucket_of(value))
    assert value <= edge
    assert bucket_of(edge) == bucket_of(value)
    assert bucket_of(edge + 1) == bucket_of(value) + 1
