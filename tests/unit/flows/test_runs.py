"""Runs on the walk: numbers without a gap and one chain, whoever races, waits, fails or leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from anyio import CancelScope

from answerable.adapters.tlog_files.ledger import TlogFilesLedger
from answerable.adapters.tlog_files.settings import TlogFilesSettings
from answerable.core.action.outcome import Outcome
from answerable.core.base64url import to_base64url
from answerable.core.ledger import runs as runs_of_core
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.recovery.settle_open_intents import recover_from_ledger, settle_open_intents
from answerable.testing.builders import Bench, ledger_key
from answerable.testing.fault_injection import Crash, Trouble, TroubledLedger
from answerable.testing.samples import signing_key
from answerable.testing.trouble_outside import TroubledUpstream
from answerable.verify.leaf_rules import Fault as LeafFault
from answerable.verify.leaf_rules import read_leaf
from answerable.verify.links import Runs
from tests.worlds.parts import to_settle
from tests.worlds.walk import cited, striking

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import Entry
    from answerable.testing.fault_injection import Fault
    from answerable.testing.recording_upstream import Effect

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SEAL-05")]


def chains(bench: Bench) -> dict[str, list[tuple[int, JSONValue]]]:
    """By id of the run: number and tag of its entries, once a stranger has found no hole and no other order."""
    judge, found = Runs(), {}
    for stored in bench.recorder.ledger.replay():
        read = read_leaf(stored.leaf)
        assert not isinstance(read, LeafFault), read
        assert judge.fault(stored.index, read, stored.leaf_hash) is None
    before: dict[str, str] = {}
    for entry in bench.entries():
        run = entry.get("run")
        if not isinstance(run, dict):
            continue
        name, seq = str(run["id"]), run["seq"]
        assert isinstance(seq, int)
        chain = found.setdefault(name, [])
        assert seq == len(chain)
        assert run["prev"] == before.get(name, "")
        chain.append((seq, entry["tag"]))
        stored = next(iter(bench.recorder.ledger.replay(int(str(entry["index"])))))
        before[name] = to_base64url(stored.leaf_hash)
    return found


def striking_in_turn(*faults: Fault | None) -> Trouble:
    """Trouble that strikes what is submitted, one after the other."""
    left = iter(faults)
    return Trouble(lambda _n, method: next(left, None) if method == "ledger.submit" else None)


async def ready() -> Bench:
    bench = await Bench().registered()
    await bench.issue(calls_max=1000)
    await cited(bench, "get_case", "refund")
    return bench


async def test_a_story_of_one_mandate_is_one_run_from_question_to_outcome():
    bench = await ready()
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    await bench.answer(asked)
    await bench.refund(6000)
    with pytest.raises(Refused):
        await bench.refund(2_000_000)
    (chain,) = chains(bench).values()
    wanted = [Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.INTENT, Tag.OUTCOME, Tag.REFUSAL]
    assert [tag for _, tag in chain] == wanted


async def test_each_mandate_has_its_own_run_and_what_is_under_none_is_in_no_run():
    bench = await ready()
    await bench.issue("m-2", agent="rover")
    await asyncio.gather(
        *(bench.act(mandate=m, agent=a) for m, a in (("m-1", "scout"), ("m-2", "rover")) * 5)
    )
    with pytest.raises(Refused):
        await bench.act(mandate="m-2", agent="scout")
    with pytest.raises(Refused):
        await bench.act(mandate="unknown")
    assert sorted(len(chain) for chain in chains(bench).values()) == [10, 10]
    for entry in bench.entries(Tag.REFUSAL):
        assert "run" not in entry
        assert entry["mandate"] == ""


async def test_a_hundred_racing_callers_of_one_mandate_make_one_run_without_a_gap():
    bench = await ready()
    answers = await asyncio.gather(
        *(bench.act() if n % 3 else bench.refund(2_000_000) for n in range(100)), return_exceptions=True
    )
    assert not [
        answer for answer in answers if isinstance(answer, BaseException) and not isinstance(answer, Refused)
    ]
    (chain,) = chains(bench).values()
    assert len(chain) == 66 * 2 + 34


@pytest.mark.parametrize("waits", [1, 2, 3, 5])
async def test_two_racing_callers_of_whom_one_waits_for_room_share_one_run(waits: int):
    """Who waits is given its place anew: the place it first asked for went to the other meanwhile."""
    bench = await ready()
    bench.recorder.ledger = TroubledLedger(bench.recorder.ledger, striking_in_turn(*["busy"] * waits))
    await asyncio.gather(bench.act(), bench.act())
    (chain,) = chains(bench).values()
    assert sorted(str(tag) for _, tag in chain) == sorted(str(tag) for tag in (Tag.INTENT, Tag.OUTCOME) * 2)


async def test_a_place_that_was_asked_for_and_not_taken_is_given_to_the_next():
    bench = await ready()
    raw = bench.recorder.ledger
    await bench.act()
    for at, fault in ((0, "full"), (1, "full")):
        bench.recorder.ledger = TroubledLedger(raw, striking("ledger.submit", fault, at=at))
        bench.upstream.answer = lambda _: Outcome(status="succeeded")
        with pytest.raises(Unavailable):
            await bench.act()
        bench.recorder.ledger = raw
    await bench.act()
    await settle_open_intents(*to_settle(bench.walk))
    (chain,) = chains(bench).values()
    assert len(chain) == 6


async def test_on_a_log_that_is_busy_again_and_again_no_run_has_a_hole():
    bench = await ready()
    await bench.issue("m-2", agent="rover", calls_max=1000)
    turn = 0

    def often(_number: int, method: str) -> Fault | None:
        nonlocal turn
        turn += method == "ledger.submit"
        return "busy" if method == "ledger.submit" and turn % 3 else None

    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(raw, Trouble(often), latency=lambda: turn % 5)
    answers = await asyncio.gather(
        *(bench.act(mandate=m, agent=a) for m, a in (("m-1", "scout"), ("m-2", "rover")) * 40)
    )
    assert all(answer.outcome is not None for answer in answers)
    bench.recorder.ledger = raw
    assert sorted(len(chain) for chain in chains(bench).values()) == [80, 80]


@pytest.mark.requirement("SEAL-06")
@pytest.mark.parametrize("commit", ["inline", "thread"])
async def test_on_real_files_with_room_for_few_at_a_time_no_run_has_a_hole(commit: str, tmp_path: Path):
    bench = Bench()
    settings = TlogFilesSettings(
        segment_bytes=1_048_576,
        queue_entries_max=2,
        append_wait_seconds_max=60,
        commit="thread" if commit == "thread" else "inline",
    )
    log = TlogFilesLedger.open(
        tmp_path / "log",
        key=ledger_key(),
        sign=signing_key("ledger").sign,
        clock=bench.clock,
        settings=settings,
    )
    async with log:
        bench.recorder.ledger = bench.upstream.ledger = log
        await bench.registered()
        for name, agent in (("m-1", "scout"), ("m-2", "rover")):
            await bench.issue(name, agent=agent, calls_max=1000)
        answers = await asyncio.gather(
            *(bench.act(mandate=m, agent=a) for m, a in (("m-1", "scout"), ("m-2", "rover")) * 20)
        )
        assert all(answer.outcome is not None for answer in answers)
        assert sorted(len(chain) for chain in chains(bench).values()) == [40, 40]
        assert len(bench.entries(Tag.CITED)) == 4


@pytest.mark.parametrize("natively", [False, True])
async def test_who_leaves_while_waiting_for_room_leaves_no_hole(natively: bool):
    for turns in range(1, 12):
        bench = await ready()
        raw = bench.recorder.ledger
        bench.recorder.ledger = TroubledLedger(
            raw,
            striking_in_turn("busy", "busy", None, "busy", "busy"),
            latency=lambda: 2,
        )
        scope = CancelScope()

        async def in_scope(bench: Bench = bench, scope: CancelScope = scope) -> None:
            with scope:
                await bench.act()

        tasks = [asyncio.create_task(in_scope()), asyncio.create_task(bench.act())]
        for _ in range(turns):
            await asyncio.sleep(0)
        if natively:
            tasks[0].cancel()
        else:
            scope.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        bench.recorder.ledger = raw
        (chain,) = chains(bench).values()
        assert len(chain) == 4
        assert not bench.recorder.open_intents


async def test_past_the_bound_a_forgotten_mandate_begins_another_run_and_neither_has_a_hole(monkeypatch):
    monkeypatch.setattr(runs_of_core, "RUNS_MAX", 2)
    bench = await ready()
    for number in (2, 3):
        await bench.issue(f"m-{number}")
    for name in ("m-1", "m-2", "m-1", "m-3", "m-1", "m-2", "m-3", "m-1"):
        await bench.act(mandate=name)
    found = chains(bench)
    assert sum(len(chain) for chain in found.values()) == 16
    assert len(found) > 3
    mandates = {
        str(run["id"]): entry["mandate"]
        for entry in bench.entries(Tag.INTENT)
        if isinstance(run := entry["run"], dict)
    }
    assert set(mandates) == set(found)


async def test_a_run_that_is_forgotten_while_one_of_its_entries_waits_for_room_does_not_go_on_torn(
    monkeypatch,
):
    monkeypatch.setattr(runs_of_core, "RUNS_MAX", 1)
    bench = await ready()
    await bench.issue("m-2")
    await bench.act()
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw,
        striking_in_turn("busy", "busy"),
    )
    await asyncio.gather(bench.act(), bench.act(mandate="m-2"))
    bench.recorder.ledger = raw
    assert sum(len(chain) for chain in chains(bench).values()) == 6


async def test_after_a_restart_a_mandate_begins_another_run_and_the_end_of_an_older_intent_is_in_none():
    bench = await ready()
    bench.walk.verification.upstream = TroubledUpstream(
        bench.upstream, Trouble(lambda _n, method: "crash_after" if "perform" in method else None)
    )
    with pytest.raises(Crash):
        await bench.act()
    walk = bench.walk
    again = Bench(
        clock=bench.clock,
        entropy=walk.entropy,
        ledger=walk.recorder.ledger,
        registry=walk.authority.registry,
        mandates=walk.authority.mandates,
        approvals=walk.authority.approvals,
        subject_keys=walk.recorder.subject_keys,
    )
    recover_from_ledger(*to_settle(again.walk))
    await again.act()
    again.clock.advance(200)
    assert await settle_open_intents(*to_settle(again.walk)) == 1
    (end,) = again.entries(Tag.INDETERMINATE)
    assert "run" not in end
    assert [[tag for _, tag in chain] for chain in chains(again).values()] == [
        [Tag.INTENT],
        [Tag.INTENT, Tag.OUTCOME],
    ]


@pytest.mark.requirement("WALK-03")
async def test_a_true_outcome_that_turns_up_late_is_in_the_run_after_the_end_it_corrects():
    bench = await ready()

    async def hang(_: Effect) -> None:
        bench.clock.advance(200)
        assert await settle_open_intents(*to_settle(bench.walk)) == 1

    bench.upstream.after = hang
    await bench.act()
    (chain,) = chains(bench).values()
    assert [tag for _, tag in chain] == [Tag.INTENT, Tag.INDETERMINATE, Tag.OUTCOME]


async def test_an_entry_taken_out_of_a_run_shows():
    bench = await ready()
    for _ in range(3):
        await bench.act()
    stored = list(bench.recorder.ledger.replay())
    places = [s for s in stored if s.tag in (Tag.INTENT, Tag.OUTCOME)]
    for missing in places[:-1]:
        judge, found = Runs(), []
        for one in stored:
            read = read_leaf(one.leaf)
            assert not isinstance(read, LeafFault)
            if one is not missing:
                found.append(judge.fault(one.index, read, one.leaf_hash))
        assert [fault.rule for fault in found if fault is not None] == ["run.gap"]


async def test_a_ledger_that_refuses_for_good_does_not_move_the_run():
    bench = await ready()

    class Closed(TroubledLedger):
        def submit(self, entry: Entry) -> object:  # type: ignore[override]
            raise Unavailable("the log is closed", code="ledger.closed", port="ledger")

    raw = bench.recorder.ledger
    await bench.act()
    before = bench.entries(Tag.OUTCOME)[-1]["run"]
    bench.recorder.ledger = Closed(raw, Trouble(lambda _n, _m: None))
    with pytest.raises(Unavailable):
        await bench.act()
    bench.recorder.ledger = raw
    await bench.act()
    after = bench.entries(Tag.INTENT)[-1]["run"]
    assert (after["id"], after["seq"]) == (before["id"], before["seq"] + 1)
