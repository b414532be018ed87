"""When people first had before them what they answered: on record, held to account, and counted by strangers."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger
from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.describe_oversight import ANSWERS_MIN, oversight_figures
from answerable.core.ledger.oversight import Oversight
from answerable.core.ledger.tags import Tag
from answerable.flows.approval.answer_as_workflow import answer_as_workflow, open_to_workflow
from answerable.flows.approval.notify_on_call import queue_health
from answerable.flows.approval.record_view import note_looks
from answerable.flows.approval.report_oversight import report_oversight
from answerable.flows.ledger.assemble_evidence import assemble_evidence
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE
from answerable.testing.soft_passkey import SoftPasskey
from answerable.verify.check_challenges import ToldOpenings
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.leaf_rules import read_leaf
from tests.attack.test_passkey_answers import answered
from tests.worlds.canary import bench_with_tests, canary_on
from tests.worlds.ledger_files import SMALL
from tests.worlds.pace import questions, replicas
from tests.worlds.parts import to_oversee
from tests.worlds.passkey import enrolled, passkey_bench
from tests.worlds.selected import selected
from tests.worlds.workflow import CHECK, token_of, waiting

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PACE-06")]


async def looked_at(bench: Bench, amount: int, *, waited: int, looked: int, by: str = "bob") -> Any:
    """A refund that waits so many seconds until somebody has it before them, and so many more until they say yes."""
    asked = (await bench.refund(amount)).approval
    assert asked is not None
    bench.clock.advance(waited)
    await note_looks(bench.asking, bench.clock, by, [asked])
    bench.clock.advance(looked)
    return await bench.answer(asked, by=by)


async def test_the_entry_says_when_this_person_first_had_it_before_them(tmp_path):
    bench = await passkey_bench()
    await bench.issue()
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    asked = (await bench.refund(6_000)).approval
    await note_looks(bench.asking, bench.clock, "carol", [asked])
    bench.clock.advance(7)
    await note_looks(bench.asking, bench.clock, "bob", [asked])
    bench.clock.advance(20)
    await note_looks(bench.asking, bench.clock, "bob", [asked])
    bench.clock.advance(3)
    after = await answered(bench, asked, device)
    (leaf,) = bench.entries(Tag.APPROVAL_ANSWER)
    assert (leaf["at"] - leaf["opened"], leaf["opened"] - asked.created_at) == (23_000, 7_000)
    assert after.answers[0].opened_at == leaf["opened"]


async def test_at_the_terminal_it_is_when_the_answer_was_begun():
    bench = await Bench().registered()
    await bench.issue()
    asked = (await bench.refund(6_000)).approval
    bench.clock.advance(5)
    await bench.answer(asked)
    (leaf,) = bench.entries(Tag.APPROVAL_ANSWER)
    assert leaf["opened"] == leaf["at"] == asked.created_at + 5_000


async def test_of_a_workflow_it_says_nothing():
    bench, approval = await waiting(600_000)
    workflow = bench.authority.registry.current.workflows[CHECK]
    nonce, _, _ = open_to_workflow(
        bench.recorder.ledger,
        bench.authority,
        bench.asking.openings,
        bench.walk.limits,
        bench.walk.entropy,
        workflow,
        approval.id,
    )
    await answer_as_workflow(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        CHECK,
        approval.id,
        token_of(bench, approval, nonce=nonce),
    )
    (leaf,) = bench.entries(Tag.APPROVAL_ANSWER)
    assert leaf["workflow"] == CHECK
    assert "opened" not in leaf


async def test_of_a_test_the_entry_that_tells_it_says_it():
    bench = await bench_with_tests()
    canary = await canary_on(bench)
    await note_looks(bench.asking, bench.clock, "bob", [canary])
    bench.clock.advance(9)
    await bench.answer(canary, verdict="deny")
    (leaf,) = bench.entries(Tag.CANARY_TOLD)
    assert leaf["at"] - leaf["opened"] == 9_000


async def test_whatever_clocks_do_it_is_not_after_the_answer():
    bench = await Bench().registered()
    await bench.issue()
    asked = (await bench.refund(6_000)).approval
    bench.clock.advance(60)
    await note_looks(bench.asking, bench.clock, "bob", [asked])
    bench.clock.jump(-30)
    await bench.answer(asked)
    (leaf,) = bench.entries(Tag.APPROVAL_ANSWER)
    assert leaf["opened"] <= leaf["at"]


async def test_it_is_kept_with_the_answer_through_a_restart(tmp_path):
    made, (bench,) = await replicas(tmp_path, WalkLimits(), count=1)
    (asked,) = await questions(made, bench, 1)
    await note_looks(bench.asking, bench.clock, "bob", [asked])
    made.clock.advance(4)
    after = await bench.answer(asked)
    bench = made.restarted(bench)
    found = bench.authority.approvals.find(asked.id)
    assert found == after
    assert found.answers[0].opened_at == asked.created_at


# --- held to account -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opened", "found"),
    [
        (0, []),
        (30_000, []),
        (30_001, ["first viewed after its answer"]),
        (-1, ["viewed before it was requested"]),
        (None, []),
    ],
)
async def test_a_time_that_cannot_be_is_found(opened: int | None, found: list[str]):
    bench = await Bench().registered()
    await bench.issue()
    asked = (await bench.refund(6_000)).approval
    bench.clock.advance(30)
    await bench.answer(asked)
    told: list[str] = []
    openings = ToldOpenings()
    for leaf in bench.entries(Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER):
        index = leaf.pop("index")
        if "verdict" in leaf:
            del leaf["opened"]
            leaf.update({} if opened is None else {"opened": asked.created_at + opened})
        told += [fault.message for _, fault in openings.take(index, read_leaf(encode(leaf)))]
    assert len(told) == len(found)
    assert all(words in one for words, one in zip(found, told, strict=True))


async def test_a_bundle_that_says_so_is_at_fault(tmp_path, monkeypatch):
    monkeypatch.setattr("answerable.flows.approval.answer_approval.opened_at", lambda *_: 1)
    key, sign = log_key(AUDIENCE)
    async with TlogFilesLedger.open(
        tmp_path, key=key, sign=sign, clock=ManualClock(), settings=SMALL
    ) as ledger:
        bench = await Bench(ledger=ledger).registered()
        await bench.issue()
        await bench.answer((await bench.refund(6_000)).approval)
        ledger.seal()
        entries = list(ledger.replay())
        bundle = assemble_evidence(
            selected(entries, mandate="m-1"),
            replay=False,
            reveal=(),
            entry=entries.__getitem__,
            published=PublishedFiles(tmp_path),
            find=bench.recorder.subject_keys.find,
            policy="",
        ).bundle
    report = verify_evidence(bundle, key=key)
    assert [one.rule for one in report.findings if one.severity == "error"] == ["approval.opened"]


# --- counted -------------------------------------------------------------------------------------------------------


async def test_figures_run_from_asking_and_from_opening_and_a_stranger_makes_them_again():
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=100)
    for number, (waited, looked) in enumerate([(10, 4), (20, 1), (30, 60)]):
        await looked_at(bench, 6_000 + number, waited=waited, looked=looked)
    told = await report_oversight(*to_oversee(bench.walk))
    (bob,) = told.figures.approvers.values()
    rule = told.figures.rules["refund-large"]
    for cell in (bob, rule):
        assert (cell.times.at(10), cell.times.at(50)) == (14_000, 21_000)
        assert (cell.looks.count, cell.looks.at(10), cell.looks.at(50)) == (3, 1_000, 4_000)
        assert (cell.fast, cell.fast_looks) == (0, 1)
    assert (rule.views.at(50), told.figures.views.at(95), told.figures.views.count) == (20_000, 30_000, 3)
    stranger = Oversight()
    for stored in bench.recorder.ledger.replay():
        stranger.fold(stored)
    again = oversight_figures(stranger, since=0, now=bench.clock.now())
    assert again.views == told.figures.views, "from the entries alone, without a key"


async def test_of_what_was_answered_the_queue_and_the_ledger_say_the_same():
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=100)
    for number, waited in enumerate([10, 20, 30]):
        await looked_at(bench, 6_000 + number, waited=waited, looked=5)
    queue = queue_health(bench.authority, bench.asking, since=UnixMillis(0))
    views = (await report_oversight(*to_oversee(bench.walk))).figures.views
    assert (queue.view_p50_ms, queue.view_p95_ms, queue.seen) == (views.at(50), views.at(95), views.count)
    assert queue.view_p50_ms == 20_000


@pytest.mark.parametrize(("looked", "verdict"), [(1, "warn"), (30, "no_data")])
async def test_who_lets_it_wait_and_then_says_yes_at_once_is_found_out(looked: int, verdict: str):
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=200, seconds=80_000)
    for number in range(ANSWERS_MIN):
        await looked_at(bench, 6_000 + number, waited=120, looked=looked)
    (bob,) = (await report_oversight(*to_oversee(bench.walk))).figures.approvers.values()
    assert bob.fast == 0
    assert bob.verdict == verdict


async def test_where_it_is_not_known_there_is_no_figure():
    bench, approval = await waiting(600_000)
    workflow = bench.authority.registry.current.workflows[CHECK]
    nonce, _, _ = open_to_workflow(
        bench.recorder.ledger,
        bench.authority,
        bench.asking.openings,
        bench.walk.limits,
        bench.walk.entropy,
        workflow,
        approval.id,
    )
    await answer_as_workflow(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        CHECK,
        approval.id,
        token_of(bench, approval, nonce=nonce),
    )
    told = (await report_oversight(*to_oversee(bench.walk))).figures
    (one,) = told.approvers.values()
    assert (one.answered, one.looks.count, one.looks.at(50), told.views.count) == (1, 0, None, 0)
