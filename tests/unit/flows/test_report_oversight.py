"""How people decide, counted from a ledger that the walk wrote."""

from __future__ import annotations

import pytest

from answerable.core.action.outcome import Outcome
from answerable.core.containment.drill import drilled
from answerable.core.containment.hold import HoldTarget
from answerable.core.containment.shadow import NAME_BYTES, shadow_name
from answerable.core.ledger.describe_oversight import (
    ANSWERS_MIN,
    REMOVABLE_MIN,
    TESTS_MIN,
    Decided,
    oversight_figures,
)
from answerable.core.ledger.oversight import Oversight, Question
from answerable.core.ledger.tags import Tag
from answerable.flows.approval.report_oversight import report_oversight
from answerable.testing.builders import Bench
from tests.worlds.figures import entry
from tests.worlds.hold import stop
from tests.worlds.parts import to_oversee

pytestmark = pytest.mark.anyio


async def ready(**parts):
    """A bench with one mandate."""
    bench = await Bench(**parts).registered()
    await bench.issue("m-1", calls_max=10_000)
    return bench


async def decided(bench, amount, *, seconds, verdict="approve", by="bob"):
    """A refund that is asked about and answered so many seconds later."""
    asked = (await bench.refund(amount)).approval
    bench.clock.advance(seconds)
    return await bench.answer(asked, by=by, verdict=verdict)


def named(told):
    """Rows of approvers by their names."""
    return {told.names[person]: one for person, one in told.figures.approvers.items()}


@pytest.mark.requirement("OVERSIGHT-01")
async def test_each_answer_counts_for_who_gave_it_and_for_the_rule_that_asked():
    bench = await ready()
    await decided(bench, 6_000, seconds=2)
    await decided(bench, 6_001, seconds=4)
    await decided(bench, 6_002, seconds=60, verdict="deny", by="carol")
    told = await report_oversight(*to_oversee(bench.walk))
    people = named(told)
    assert set(people) == {"bob", "carol"}
    bob, carol = people["bob"], people["carol"]
    assert (bob.answered, bob.approved, bob.denied, bob.fast, bob.busiest_hour) == (2, 2, 0, 1, 2)
    assert (bob.times.at(50), bob.times.at(10)) == (2_000, 2_000)
    assert (carol.approved, carol.denied, carol.times.at(50)) == (0, 1, 60_000)
    rule, group = told.figures.rules["refund-large"], told.figures.groups["approvers"]
    for cell in (rule, group):
        assert (cell.asked, cell.approved, cell.denied, cell.waiting, cell.unanswered) == (3, 2, 1, 0, 0)
    leaves = [bench.opened(index)[0] for index in bob.entries]
    assert [one["tag"] for one in leaves] == [Tag.APPROVAL_ANSWER] * 2
    assert [one["tag"] for one in (bench.opened(index)[0] for index in rule.entries)] == [
        Tag.APPROVAL_ASKED
    ] * 3


@pytest.mark.requirement("OVERSIGHT-01")
async def test_of_a_question_to_two_people_each_answer_is_theirs_and_the_decision_is_one():
    bench = await ready()
    asked = (await bench.refund(60_000)).approval
    bench.clock.advance(5)
    await bench.answer(asked, by="bob")
    told = await report_oversight(*to_oversee(bench.walk))
    assert (named(told)["bob"].answered, told.figures.rules["refund-huge"].answered) == (1, 0)
    assert told.figures.rules["refund-huge"].waiting == 1
    bench.clock.advance(2)
    await bench.answer(asked, by="carol")
    told = await report_oversight(*to_oversee(bench.walk))
    rule = told.figures.rules["refund-huge"]
    assert (rule.answered, rule.approved, rule.times.at(50)) == (1, 1, 7_000)
    assert told.figures.groups["approvers"].asked == 1


@pytest.mark.requirement("OVERSIGHT-01")
async def test_a_question_that_ran_out_is_unanswered_and_nobodys_answer():
    bench = await ready()
    await bench.refund(6_000)
    bench.clock.advance(bench.walk.limits.approval_ttl_ms / 1000)
    told = await report_oversight(*to_oversee(bench.walk))
    rule = told.figures.rules["refund-large"]
    assert (rule.asked, rule.unanswered, rule.answered, told.figures.approvers) == (1, 1, 0, {})


@pytest.mark.requirement("OVERSIGHT-01")
async def test_what_a_hold_or_a_change_ended_is_nobodys_answer():
    bench = await ready()
    held = (await bench.refund(6_000)).approval
    await stop(bench, HoldTarget(kind="agent", name="scout"))
    assert bench.authority.approvals.find(held.id).state == "denied"
    bench.clock.advance(bench.walk.limits.approval_ttl_ms / 1000)
    rule = (await report_oversight(*to_oversee(bench.walk))).figures.rules["refund-large"]
    assert (rule.asked, rule.denied, rule.unanswered, rule.holds) == (1, 0, 1, 1)
    assert not rule.may_go


@pytest.mark.requirement("OVERSIGHT-01")
def test_what_is_void_is_asked_anew_and_neither_waits_nor_is_unanswered():
    read = Oversight()
    asked = {"approval": "a-1", "tier": 2, "decision": {"by": ["big"]}, "expires": 5}
    read.fold(entry(0, Tag.APPROVAL_ASKED, **asked))
    read.fold(entry(1, Tag.APPROVAL_VOID, approval="a-1", because=["the arguments"]))
    for now in (1, 9):
        rule = oversight_figures(read, since=0, now=now).rules["big"]
        assert (rule.asked, rule.void, rule.waiting, rule.unanswered) == (1, 1, 0, 0)


def test_a_test_that_was_told_is_in_the_figures_of_tests_and_in_no_other():
    read = Oversight()
    for number, ended in enumerate(("caught", "let_through", "unseen")):
        asked = {"approval": f"a-{number}", "tier": 2, "decision": {"by": ["big"]}, "expires": 9**15}
        read.fold(entry(2 * number, Tag.APPROVAL_ASKED, **asked))
        told = {"approval": f"a-{number}", "ended": ended, "person": "" if ended == "unseen" else "p"}
        read.fold(entry(2 * number + 1, Tag.CANARY_TOLD, **told))
    figures = oversight_figures(read, since=0, now=9)
    assert (figures.tests, figures.caught, figures.unseen) == (3, 1, 1)
    for cell in (figures.approvers["p"], figures.rules["big"]):
        assert (cell.tests, cell.caught, cell.answered, cell.asked) == (2, 1, 0, 0)


@pytest.mark.requirement("OVERSIGHT-01")
def test_workflows_are_told_apart_from_people_and_a_broken_glass_is_nobodys_answer():
    read = Oversight()
    for name in ("a-1", "a-2"):
        read.fold(
            entry(0, Tag.APPROVAL_ASKED, approval=name, tier=2, decision={"by": ["big"]}, expires=9**15)
        )
    said = {"verdict": "approve", "state": "approved", "person": "p"}
    read.fold(entry(2, Tag.APPROVAL_ANSWER, approval="a-1", workflow="change-board", **said))
    glass = {**said, "verdict": "break_glass"}
    read.fold(entry(3, Tag.APPROVAL_ANSWER, approval="a-2", **glass))
    found = oversight_figures(read, since=0, now=9)
    assert set(found.approvers) == {"workflow change-board"}
    rule = found.rules["big"]
    assert (rule.answered, rule.glass, rule.may_go) == (2, 1, False)


@pytest.mark.requirement("OVERSIGHT-01")
async def test_questions_of_a_drill_are_in_no_figure():
    read = Oversight()
    shadow = shadow_name(drilled("agent", "scout"), bytes(NAME_BYTES))
    read.fold(entry(0, Tag.APPROVAL_ASKED, approval="a-1", agent=shadow, tier=2))
    read.fold(entry(1, Tag.APPROVAL_ANSWER, approval="a-1", verdict="approve", state="approved", person="p"))
    found = oversight_figures(read, since=0, now=9)
    assert (list(read.questions()), found.approvers) == ([], {})


@pytest.mark.requirement("OVERSIGHT-01")
async def test_what_is_read_in_steps_is_what_a_new_reader_reads():
    bench = await ready()
    for number in range(4):
        await decided(bench, 6_000 + number, seconds=number, verdict="deny" if number == 2 else "approve")
        await report_oversight(*to_oversee(bench.walk))
    await bench.refund(7_000)
    now = bench.clock.now()
    stepped = (await report_oversight(*to_oversee(bench.walk))).figures
    again = Oversight()
    for stored in bench.recorder.ledger.replay():
        again.fold(stored)
    assert oversight_figures(again, since=0, now=now) == stepped
    assert stepped.rules["refund-large"].asked == 5


@pytest.mark.requirement("OVERSIGHT-01")
async def test_a_window_has_what_was_asked_in_it():
    bench = await ready()
    await decided(bench, 6_000, seconds=1)
    bench.clock.advance(10)
    since = bench.clock.now()
    await decided(bench, 6_001, seconds=1)
    assert (await report_oversight(*to_oversee(bench.walk), since=since)).figures.rules[
        "refund-large"
    ].asked == 1
    assert (await report_oversight(*to_oversee(bench.walk))).figures.rules["refund-large"].asked == 2


@pytest.mark.requirement("OVERSIGHT-01")
async def test_an_approver_who_was_erased_is_a_pseudonym_and_still_counted(monkeypatch):
    bench = await ready()
    await decided(bench, 6_000, seconds=1)
    keys = bench.recorder.subject_keys
    gone, found = keys.of("principal:bob").id, keys.find
    monkeypatch.setattr(keys, "find", lambda name: None if name == gone else found(name))
    told = await report_oversight(*to_oversee(bench.walk))
    assert list(told.names.values()) == [""]
    assert [one.answered for one in told.figures.approvers.values()] == [1]


@pytest.mark.requirement("OVERSIGHT-01")
def test_past_their_limit_the_oldest_questions_are_given_up_and_that_is_said(monkeypatch):
    monkeypatch.setattr("answerable.core.ledger.oversight.QUESTIONS_MAX", 2)
    read = Oversight()
    for number in range(3):
        read.fold(entry(number, Tag.APPROVAL_ASKED, approval=f"a-{number}", at=1_000 + number, tier=2))
    assert [name for name, _ in read.questions()] == ["a-1", "a-2"]
    assert read.complete_from == 1_001
    read.fold(entry(3, Tag.APPROVAL_ANSWER, approval="a-0", verdict="approve", state="approved"))
    assert oversight_figures(read, since=0, now=2_000).approvers == {}


@pytest.mark.requirement("OVERSIGHT-01")
def test_an_entry_that_cannot_be_read_is_said_and_counts_for_nothing():
    read = Oversight()
    read.fold(entry(0, Tag.APPROVAL_ASKED, approval=7))
    assert (read.unreadable, list(read.questions()), read.entries) == (1, [], 1)


def habit(*, yes=0, no=0, ms=10_000, caught=0, missed=0):
    """Of somebody who answered like this."""
    cell = Decided()
    for number in range(yes + no):
        cell.decided(number, at=number, took_ms=ms, approves=number < yes)
    for number in range(caught + missed):
        cell.tested(number, caught=number < caught)
    return cell


@pytest.mark.requirement("OVERSIGHT-02")
@pytest.mark.parametrize(
    ("cell", "verdict"),
    [
        (habit(), "no_data"),
        (habit(yes=ANSWERS_MIN), "no_data"),
        (habit(caught=TESTS_MIN), "no_data"),
        (habit(yes=ANSWERS_MIN - 1, ms=100, caught=TESTS_MIN), "no_data"),
        (habit(yes=ANSWERS_MIN, no=2, caught=TESTS_MIN), "ok"),
        (habit(yes=ANSWERS_MIN, caught=TESTS_MIN), "ok"),
        (habit(yes=ANSWERS_MIN, ms=2_999, caught=TESTS_MIN), "warn"),
        (habit(yes=ANSWERS_MIN, ms=2_999), "warn"),
        (habit(yes=ANSWERS_MIN, ms=3_000, caught=TESTS_MIN), "ok"),
        (habit(yes=19, no=1, ms=100, caught=TESTS_MIN), "ok"),
        (habit(yes=96, no=4, ms=100, caught=TESTS_MIN), "warn"),
        (habit(caught=4, missed=1), "no_data"),
        (habit(caught=3, missed=2), "fail"),
        (habit(missed=TESTS_MIN - 1), "no_data"),
        (habit(yes=ANSWERS_MIN, ms=100, caught=7, missed=2), "fail"),
    ],
)
def test_the_check_of_an_approver_is_what_its_thresholds_say(cell, verdict):
    assert cell.verdict == verdict


def asked_rule(*, denied=0, failed=0, approved=REMOVABLE_MIN, pending=0, hold=False):
    """A reading in which one rule asked about this."""
    read = Oversight()
    states = ["approved"] * approved + ["denied"] * denied + ["pending"] * pending
    for number, state in enumerate(states):
        read._questions[f"a-{number}"] = Question(
            number, 1_000, 2_000, "2", "support", "scout", "m-1", "crm.refund", ("big",), ("approvers",),
            state=state, decided_at=1_500, failed=number < failed,
        )  # fmt: skip
    if hold:
        read.fold(entry(99, Tag.HOLD_PLACED, name="scout", source="person", since=1_400))
    return oversight_figures(read, since=0, now=3_000).rules["big"]


@pytest.mark.requirement("OVERSIGHT-03")
def test_a_rule_whose_questions_were_all_approved_and_harmless_may_go_and_no_other():
    assert asked_rule().may_go
    assert not asked_rule(approved=REMOVABLE_MIN - 1).may_go
    assert not asked_rule(denied=1).may_go
    assert not asked_rule(failed=1).may_go
    assert not asked_rule(pending=1).may_go
    assert not asked_rule(hold=True).may_go


@pytest.mark.requirement("OVERSIGHT-03")
async def test_what_failed_after_a_yes_is_held_against_its_rule():
    bench = await ready()
    await decided(bench, 6_000, seconds=9)
    bench.upstream.answer = lambda _: Outcome(status="failed", detail="the bank said no")
    await bench.refund(6_000)
    await decided(bench, 6_001, seconds=9)
    assert (await report_oversight(*to_oversee(bench.walk))).figures.rules["refund-large"].failed == 1
