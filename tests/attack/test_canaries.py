"""Attacks on canaries: to run by one, to find out which question is one, and to make a real question one."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from answerable.apps.control_api import approval_operations
from answerable.core.approval.attention_check import AttentionCheck
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.approval.notify_attention_check import notify_attention_check, tell_ended_canaries
from answerable.flows.approval.report_oversight import report_oversight
from answerable.flows.approval.send_attention_check import asked_canary, send_attention_check
from answerable.flows.policy.simulate_policy import simulate_policy
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import POLICIES, bench_documents
from answerable.testing.soft_passkey import SoftPasskey
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.check_attention_checks import ToldCanaries
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.attack.test_passkey_answers import answered
from tests.worlds.answers import as_sent
from tests.worlds.canary import TESTED, bench_with_tests, canary_on, counted, drawn
from tests.worlds.figures import PAY
from tests.worlds.parts import to_govern, to_oversee, to_simulate
from tests.worlds.passkey import enrolled, passkey_bench

pytestmark = pytest.mark.anyio


# --- to run by one ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("OVERSIGHT-04")
async def test_the_very_action_of_a_canary_waits_for_people_of_its_own_whatever_they_said_of_the_canary():
    bench = await bench_with_tests()
    canary = await canary_on(bench)
    before = (await bench.refund(60_000)).approval
    assert before.id != canary.id
    assert before.action == canary.action
    await bench.answer(canary, by="bob")
    again = await bench.refund(60_000)
    assert (again.approval.id, again.outcome) == (before.id, None)
    await bench.answer(before, by="bob")
    assert (await bench.refund(60_000)).outcome is None, "one of two: the yes to the canary is not the second"
    await bench.answer(before, by="carol")
    assert (await bench.refund(60_000)).outcome is not None
    (intent,) = bench.entries(Tag.INTENT)
    assert intent["approval"] == before.id


@pytest.mark.requirement("OVERSIGHT-04")
async def test_a_no_to_a_canary_says_no_to_no_real_action():
    bench = await bench_with_tests()
    await bench.answer(await canary_on(bench), verdict="deny")
    assert (await bench.refund(60_000)).approval.state == "pending"


@pytest.mark.requirement("OVERSIGHT-04")
async def test_even_a_canary_that_somebody_wrote_approved_into_the_register_lifts_nothing():
    bench = await bench_with_tests()
    canary = await canary_on(bench)
    assert bench.authority.approvals.replace(replace(canary, state="approved"), was=canary)
    asked = await bench.refund(60_000)
    assert asked.outcome is None
    assert asked.approval.id != canary.id
    assert not bench.authority.approvals.use(canary.id, bench.clock.now())


@pytest.mark.requirement("OVERSIGHT-04")
async def test_one_answer_ends_a_canary_and_it_takes_no_second():
    bench = await bench_with_tests()
    canary = await canary_on(bench)
    after = await bench.answer(canary, by="bob")
    assert (after.state, after.canary.ended) == ("void", "let_through")
    assert "this was a test" in after.told_test
    assert "let through" in after.told_test
    with pytest.raises(Refused) as late:
        await bench.answer(canary, by="carol")
    assert late.value.code == "approval.not_pending"


@pytest.mark.requirement("OVERSIGHT-04")
async def test_a_canary_takes_nothing_of_what_its_agent_has():
    bench = await bench_with_tests(replace(TESTED, approvals_pending_per_agent_max=2))
    used = bench.authority.mandates.calls_used("m-1")
    await canary_on(bench)
    assert bench.authority.mandates.calls_used("m-1") == used
    assert (await bench.refund(6_001)).approval is not None
    assert (await bench.refund(6_002)).approval is not None
    with pytest.raises(Refused) as third:
        await bench.refund(6_003)
    assert third.value.code == "approval.too_many"


@pytest.mark.requirement("OVERSIGHT-04")
async def test_once_told_it_is_in_no_figure_but_those_of_tests():
    bench = await bench_with_tests()
    before = (await counted(bench))[PAY]
    rules = (await report_oversight(*to_oversee(bench.walk))).figures.rules
    asked, answered = before.asked, rules["refund-large"].answered
    canary = await canary_on(bench)
    waiting = (await counted(bench))[PAY]
    assert waiting.asked == asked + 1, "until it is told it is a question like any other"
    bench.clock.advance(5)
    await bench.answer(canary, verdict="deny")
    after = (await counted(bench, 10**9))[PAY]
    assert (after.asked, after.denied, after.unanswered) == (asked, before.denied, 0)
    assert after.waits.count == before.waits.count
    told = await report_oversight(*to_oversee(bench.walk))
    assert told.figures.rules["refund-large"].answered == answered
    assert (told.figures.tests, told.figures.caught, told.figures.unseen) == (1, 1, 0)
    (bob,) = told.figures.approvers.values()
    assert (bob.tests, bob.caught, bob.answered) == (1, 1, 1)


@pytest.mark.requirement("OVERSIGHT-04")
async def test_a_simulation_asks_no_policy_about_a_canary_that_was_told():
    bench = await bench_with_tests()
    documents = [one for one in bench_documents(POLICIES) if one["kind"] == "PolicySet"]
    documents[0]["spec"]["policies"] += '\n@id("none") forbid (principal, action, resource);\n'
    plain = (await simulate_policy(*to_simulate(bench.walk), documents)).tally.asked
    canary = await canary_on(bench)
    assert (await simulate_policy(*to_simulate(bench.walk), documents)).tally.asked == plain + 1
    await bench.answer(canary, verdict="deny")
    assert (await simulate_policy(*to_simulate(bench.walk), documents)).tally.asked == plain


# --- to find out which one it is -------------------------------------------------------------------------------------


def form(value):
    """The shape of a JSON value: its members and types, and how long texts of one length are."""
    match value:
        case dict():
            return {name: form(one) for name, one in value.items()}
        case list():
            return [form(one) for one in value]
        case bool() | None:
            return value
        case int():
            return "number"
        case _:
            return "text" if not value else len(value) if len(value) in (26, 32, 43, 64) else "text"


async def real_and_test(bench):
    """A real question and a canary of the same kind, both waiting."""
    canary = await canary_on(bench)
    real = (await bench.refund(60_001)).approval
    return real, canary


@pytest.mark.requirement("OVERSIGHT-05")
async def test_no_document_of_the_control_api_tells_a_canary_from_a_real_question():
    bench = await bench_with_tests()
    real, canary = await real_and_test(bench)
    told = []
    for one in (real, canary):
        call = SimpleNamespace(walk=bench.walk, path={"id": one.id}, query={})
        told.append(as_sent(await approval_operations.show_approval.run(call)))
    assert form(told[0]) == form(told[1])
    for member in ("object", "card", "action"):
        assert form(json.loads(told[0][member])) == form(json.loads(told[1][member]))
    said = json.dumps(told[1]).lower()
    assert told[1]["test"] == ""
    assert "canary" not in said
    assert canary.canary.nonce.hex() not in said


@pytest.mark.requirement("OVERSIGHT-05")
async def test_no_entry_tells_a_canary_from_a_real_question_before_it_is_over():
    bench = await bench_with_tests()
    real, canary = await real_and_test(bench)
    entries = {leaf["approval"]: leaf["index"] for leaf in bench.entries(Tag.APPROVAL_ASKED)}
    shapes = []
    for one in (real, canary):
        leaf, fields = bench.opened(entries[one.id])
        shapes.append((form(leaf), form(fields)))
        assert canary.canary.nonce.hex() not in json.dumps([leaf, fields])
    assert shapes[0] == shapes[1]
    assert bench.entries(Tag.CANARY_TOLD) == []


@pytest.mark.requirement("OVERSIGHT-05")
async def test_people_are_turned_away_from_a_canary_as_from_any_other():
    bench = await bench_with_tests()
    real, canary = await real_and_test(bench)
    for by, verdict in (("alice", "approve"), ("dan", "approve"), ("dan", "deny")):
        codes = []
        for one in (real, canary):
            with pytest.raises(Refused) as no:
                await bench.answer(one, by=by, verdict=verdict)
            codes.append((no.value.code, no.value.message.replace(one.id, "")))
        assert codes[0] == codes[1]
    assert bench.entries(Tag.CANARY_TOLD) == [], "and nothing is told to them"


@pytest.mark.requirement("OVERSIGHT-05")
async def test_channels_announce_a_canary_as_any_other():
    bench = await bench_with_tests()
    canary = await canary_on(bench)
    assert canary in bench.channel.announced


# --- what is on record -----------------------------------------------------------------------------------------------


def faults_in(bench, change=None):
    """What a stranger finds. change: of leaves, before they are read."""
    canaries, answers = ToldCanaries(), ShownAnswers()
    for stored in bench.recorder.ledger.replay():
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault), leaf
        leaf = change(leaf) if change is not None else leaf
        canaries.take(stored.index, leaf)
        answers.take(stored.index, leaf, disclosures_of(stored, bench.recorder.subject_keys.find) or ())
    return [fault.rule for _, fault in (*canaries.faults(), *answers.faults())]


@pytest.mark.requirement("OVERSIGHT-06")
@pytest.mark.parametrize("verdict", ["approve", "deny"])
async def test_a_stranger_checks_that_it_was_a_test_from_the_moment_it_was_asked(verdict):
    bench = await bench_with_tests()
    canary = await canary_on(bench)
    await bench.answer(canary, verdict=verdict, comment="looks odd")
    assert faults_in(bench) == []
    (told,) = bench.entries(Tag.CANARY_TOLD)
    ended = "caught" if verdict == "deny" else "let_through"
    assert (told["approval"], told["ended"], told["wrong"], told["argument"]) == (
        canary.id, ended, "amount", "amount",
    )  # fmt: skip
    assert bench.opened(told["index"])[1]["person"] == "bob"
    assert [one["approval"] for one in bench.entries(Tag.APPROVAL_ANSWER)].count(canary.id) == 0


@pytest.mark.requirement("OVERSIGHT-06")
async def test_a_real_question_cannot_be_called_a_test_afterwards():
    bench = await bench_with_tests()
    real = (await bench.refund(6_500)).approval
    claimed = replace(real, canary=AttentionCheck(nonce=bytes(32), wrong="amount", argument="amount"))
    assert bench.authority.approvals.replace(claimed, was=real)
    await notify_attention_check(
        bench.recorder, bench.authority, bench.asking.canaries, claimed, at=bench.clock.now()
    )
    assert faults_in(bench) == ["canary.commitment"]


@pytest.mark.requirement("OVERSIGHT-06")
async def test_what_was_a_test_and_ran_all_the_same_is_found():
    bench = await bench_with_tests()
    canary = await canary_on(bench)
    await bench.answer(canary, verdict="deny")
    real = (await bench.refund(6_500)).approval
    await bench.answer(real)
    await bench.refund(6_500)

    def as_if(leaf):
        if getattr(leaf, "tag", 0) == Tag.INTENT and getattr(leaf, "approval", "") == real.id:
            leaf.approval = canary.id
        return leaf

    assert "canary.used" in faults_in(bench, as_if)


@pytest.mark.requirement("OVERSIGHT-06")
async def test_a_canary_that_ran_out_or_was_held_is_told_and_nobody_is_blamed():
    bench = await bench_with_tests()
    first = await canary_on(bench)
    await tell_ended_canaries(bench.recorder, bench.authority, bench.asking)
    assert bench.entries(Tag.CANARY_TOLD) == []
    bench.clock.advance(bench.walk.limits.approval_ttl_ms / 1000)
    await tell_ended_canaries(bench.recorder, bench.authority, bench.asking)
    second = await canary_on(bench)
    held = replace(second, state="denied", ended_by="h-1")
    assert bench.authority.approvals.replace(held, was=second)
    await tell_ended_canaries(bench.recorder, bench.authority, bench.asking)
    told = bench.entries(Tag.CANARY_TOLD)
    assert [(one["approval"], one["ended"]) for one in told] == [(first.id, "unseen"), (second.id, "unseen")]
    assert all("person" not in one for one in told)
    figures = (await report_oversight(*to_oversee(bench.walk))).figures
    assert (figures.tests, figures.caught, figures.unseen) == (2, 0, 2)
    assert all(one.tests == 0 for one in figures.approvers.values())
    assert faults_in(bench) == []


@pytest.mark.requirement("OVERSIGHT-06")
async def test_after_a_restart_what_was_not_told_is_told_and_what_was_told_twice_counts_once():
    bench = await bench_with_tests()
    canary = await canary_on(bench)
    await bench.answer(canary, verdict="deny")
    # As after a crash between the entry and the register, in a new process that knows nothing.
    told = bench.authority.approvals.find(canary.id)
    assert bench.authority.approvals.replace(canary, was=told)
    bench.asking.canaries.waiting = None
    bench.clock.advance(bench.walk.limits.approval_ttl_ms / 1000)
    await tell_ended_canaries(bench.recorder, bench.authority, bench.asking)
    assert [one["ended"] for one in bench.entries(Tag.CANARY_TOLD)] == ["caught", "unseen"]
    figures = (await report_oversight(*to_oversee(bench.walk))).figures
    assert (figures.tests, figures.caught, figures.unseen) == (1, 1, 0)
    assert (await counted(bench))[PAY].asked == 1


@pytest.mark.requirement("OVERSIGHT-06")
async def test_a_canary_whose_entry_could_not_be_written_is_told_all_the_same(monkeypatch):
    bench = await bench_with_tests()
    await tell_ended_canaries(bench.recorder, bench.authority, bench.asking)

    async def no_room(*_, **__):
        raise Unavailable("no room", code="ledger.full", port="ledger")

    with monkeypatch.context() as broken:
        broken.setattr(bench.recorder, "intents", SimpleNamespace(record=no_room))
        with pytest.raises(Unavailable):
            await canary_on(bench)
    (kept,) = [one for one in bench.authority.approvals.all(pending_only=True, now=0) if one.canary]
    bench.clock.advance(bench.walk.limits.approval_ttl_ms / 1000)
    await tell_ended_canaries(bench.recorder, bench.authority, bench.asking)
    assert [one["approval"] for one in bench.entries(Tag.CANARY_TOLD)] == [kept.id]
    assert faults_in(bench) == []


@pytest.mark.requirement("OVERSIGHT-06")
async def test_an_answer_by_passkey_to_a_canary_is_kept_and_checks_years_later():
    bench = await passkey_bench()
    bench.walk.limits = bench.asking.limits = TESTED
    await bench.issue("m-1", calls_max=100)
    await bench.answer((await bench.refund(6_000)).approval, verdict="deny")
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    canary = await canary_on(bench)
    after = await answered(bench, canary, device)
    assert (after.state, after.canary.ended) == ("void", "let_through")
    assert faults_in(bench) == []
    (told,) = bench.entries(Tag.CANARY_TOLD)
    assert "assertion" in bench.opened(told["index"])[1]["token"]


# --- how often -------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("OVERSIGHT-07")
async def test_without_a_setting_nobody_is_tested_and_no_entry_speaks_of_it():
    bench = await bench_with_tests(WalkLimits())
    assert await drawn(bench, hours=24) == []
    assert all("commitment" not in leaf for leaf in bench.entries(Tag.APPROVAL_ASKED))


@pytest.mark.requirement("OVERSIGHT-07")
async def test_there_are_never_more_than_so_many_at_once_or_in_a_day():
    bench = await bench_with_tests(replace(TESTED, canaries_pending_max=1, approval_ttl_ms=3_600_000))
    (first,) = await drawn(bench, hours=0.9)
    assert await send_attention_check(*to_govern(bench.walk)) is None
    assert bench.authority.approvals.find(first.id).state_at(bench.clock.now()) == "pending"
    bench = await bench_with_tests(replace(TESTED, canaries_per_day=2))
    await drawn(bench, hours=3.9, every_seconds=20)
    canaries = [one for one in bench.authority.approvals.all(pending_only=False, now=0) if one.canary]
    assert len(canaries) <= 2


@pytest.mark.requirement("OVERSIGHT-07")
async def test_whoever_asks_often_whether_it_is_time_asks_no_more_canaries():
    bench = await bench_with_tests()
    bench.asking.canaries.looked_at = bench.clock.now()
    assert not [turn for turn in range(5_000) if await send_attention_check(*to_govern(bench.walk))]


@pytest.mark.requirement("OVERSIGHT-07")
async def test_while_a_critical_question_waits_and_long_after_the_last_real_one_nobody_is_tested():
    bench = await bench_with_tests()
    bench.asking.canaries.looked_at = bench.clock.now()
    await bench.refund(6_001)
    assert await drawn(bench, hours=0.2) == [], "a refund is critical, and it waits"
    bench = await bench_with_tests()
    bench.clock.advance(5 * 3600)
    assert await drawn(bench, hours=5) == [], "nobody was asked anything for hours"


@pytest.mark.requirement("OVERSIGHT-07")
async def test_only_the_tiers_and_groups_that_settings_name_are_tested():
    bench = await bench_with_tests(replace(TESTED, canary_groups=("auditors",)))
    assert await drawn(bench, hours=3) == []
    assert await drawn(await bench_with_tests(replace(TESTED, canary_groups=("approvers",))), hours=3) != []


@pytest.mark.requirement("OVERSIGHT-07")
async def test_what_policy_would_not_ask_people_about_is_no_canary():
    bench = await bench_with_tests()
    asked = (await bench.refund(200_000)).approval
    await bench.answer(asked, verdict="deny")
    # Ten times of that nobody may refund at all.
    (_, pattern) = bench.asking.canaries.patterns[-1]
    before = bench.recorder.ledger.size
    assert await asked_canary(*to_govern(bench.walk), pattern, bench.clock.now()) is None
    assert bench.recorder.ledger.size == before, "and nothing of it is on record"
