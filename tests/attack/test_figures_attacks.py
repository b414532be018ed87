"""Whoever wants the price of control to look otherwise: other names, floods, other people's tasks, missing traces."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest

from answerable.core.canonical import encode_ledger
from answerable.core.ledger.approval_statistics import (
    BEGUN_MAX,
    CELLS_MAX,
    EFFECTS_MAX,
    GROUPS_MAX,
    HOUR_MS,
    QUESTIONS_MAX,
    Figures,
    restored,
)
from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.figure_cells import OTHERS, UNSAID, Group
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Refused, Unavailable
from answerable.flows.approval.keep_figures import read_figures
from answerable.flows.approval.report_statistics import report_statistics
from answerable.flows.forensics.trace_to_person import person_behind
from answerable.flows.recovery.settle_open_intents import record_counted_refusals
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.clock import START
from tests.attack.test_mandate_givers import MAIL, at_eleven, scheduled, signed
from tests.worlds.delegation_lineage import asked, believing, chain_of, mandated
from tests.worlds.figures import (
    PAY,
    READ,
    cells_of,
    comparable,
    counted_again,
    entry,
    figures_of,
    folded,
    ready,
)
from tests.worlds.parts import to_govern, to_issue, to_oversee
from tests.worlds.walk import customers_bench

pytestmark = pytest.mark.anyio

HOSTILE = (
    'x",use_case="finance',
    "support\n# TYPE a counter\na 1",
    "(others)",
    "\u202e\u0000",
    "a" * 200,
)


def person_of(bench, entry):
    return person_behind(bench.recorder.ledger, bench.recorder.subject_keys.find, entry)


async def with_finance():
    """Rover works for finance, scout for support."""
    documents = bench_documents()
    for one in documents:
        if one["kind"] == "UseCase":
            documents.append({**one, "metadata": {"name": "finance"}})
            break
    for one in documents:
        if (one["kind"], one["metadata"]["name"]) == ("Agent", "rover"):
            one["spec"]["useCase"] = "finance"
    return await Bench().registered(documents)


@pytest.mark.requirement("STAT-05")
@pytest.mark.parametrize("hostile", HOSTILE)
async def test_what_an_agent_calls_things_makes_no_group(hostile):
    bench = await ready()
    await bench.act()
    before = set(await cells_of(bench))
    for target, arguments, more in (
        (hostile, {"case": "4711"}, {}),
        ("get_case", {hostile: "4711"}, {}),
        ("get_case", {"case": "4711"}, {"mandate": hostile}),
        ("get_case", {"case": "4711"}, {"reason": hostile}),
    ):
        with suppress(AnswerableError):
            await bench.act(target, arguments, **more)
    after = set(await cells_of(bench))
    assert after - before <= {UNSAID, Group("", "support")}


@pytest.mark.requirement("STAT-05")
async def test_who_names_the_task_of_another_use_case_changes_nothing_in_its_figures():
    bench = await with_finance()
    await bench.issue("m-1")
    from dataclasses import replace

    from answerable.core.identity.names.principal import AgentId
    from answerable.sdk.signing import signed_mandate
    from answerable.testing.samples import AUDIENCE, mandate_terms, signing_key

    terms = replace(mandate_terms("m-2"), agent=AgentId("rover"), use_case="finance")
    await issue_mandate(
        *to_issue(bench.walk), signed_mandate(terms, audience=AUDIENCE, key=signing_key("alice"))
    )
    await bench.act(mandate="m-2", agent="rover")
    before = {group: cell for group, cell in (await cells_of(bench)).items() if group.use_case == "finance"}
    assert before[Group("1", "finance")].alone == 1
    for _ in range(20):
        with pytest.raises(Refused):
            await bench.act(mandate="m-2", agent="scout")
    after = await cells_of(bench)
    assert {group: cell for group, cell in after.items() if group.use_case == "finance"} == before
    assert sum(cell.refused for cell in after.values()) == 20


@pytest.mark.requirement("STAT-05")
async def test_a_flood_of_refusals_is_counted_whole_and_dilutes_no_use_case():
    bench = await ready(limits=WalkLimits(refusals_recorded_max=5))
    await bench.act()
    for _ in range(300):
        with pytest.raises(Refused):
            await bench.refund(2_000_000)
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    cells = await cells_of(bench)
    assert (cells[READ].actions, cells[READ].refused) == (1, 0)
    assert cells[PAY].refused + cells[UNSAID].counted == 300


@pytest.mark.requirement("STAT-05")
def test_past_the_limit_of_groups_all_others_are_one_and_nothing_is_lost():
    count = 3 * GROUPS_MAX
    figures = folded(
        entry(number, Tag.INTENT, tier=1, use_case=f"u{number}", approval="") for number in range(count)
    )
    found = figures.within(0, START)
    assert len(found) == GROUPS_MAX + 1
    assert sum(cell.alone for cell in found.values()) == count
    assert found[OTHERS].alone == count - GROUPS_MAX
    rows = {name: row for name, row in figures.take_changed().items() if row is not None}
    assert comparable(restored(rows, figures.entries), START) == comparable(figures, START)


@pytest.mark.requirement("STAT-05")
async def test_past_the_limit_of_hours_the_oldest_are_in_the_total_alone_and_it_says_so():
    groups, bench = 200, await ready()
    hours = CELLS_MAX // groups + 5
    figures = folded(
        entry(
            hour * groups + number,
            Tag.INTENT,
            tier=1,
            use_case=f"u{number}",
            approval="",
            at=START + hour * HOUR_MS,
        )
        for hour in range(hours)
        for number in range(groups)
    )
    assert sum(cell.alone for cell in figures.within(0, START).values()) == hours * groups
    rows = {name: row for name, row in figures.take_changed().items() if row is not None}
    assert len([name for name in rows if not name.startswith("+")]) <= CELLS_MAX + groups + 1
    assert len(rows) <= CELLS_MAX + groups + 1 + BEGUN_MAX
    first = figures.from_hour * HOUR_MS
    assert first > START
    bench.asking.figures.figures = figures
    figures.entries = bench.recorder.ledger.size
    told = await report_statistics(*to_oversee(bench.walk), since=first)
    assert sum(cell.alone for cell in told.groups.values()) == (hours - 5) * groups
    with pytest.raises(Refused) as refused:
        await report_statistics(*to_oversee(bench.walk), since=first - 1)
    assert refused.value.code == "stats.since"
    # Neither a restart nor a clock that was set back makes a forgotten hour of a part of what was in it.
    again = restored(rows, figures.entries)
    late = entry(hours * groups, Tag.INTENT, tier=1, use_case="u1", approval="", at=START)
    again.fold(late, dict[int, StoredEntry]().__getitem__)
    assert again.from_hour * HOUR_MS == first
    alone = [cell.alone for cell in again.within(first, START).values()]
    assert sum(alone) == (hours - 5) * groups


@pytest.mark.requirement("STAT-05")
def test_what_is_kept_in_mind_of_open_things_is_bounded():
    count = max(QUESTIONS_MAX, BEGUN_MAX, EFFECTS_MAX) + 10
    figures, known = Figures(), {}
    for number in range(count):
        for tag, leaf in (
            (Tag.APPROVAL_ASKED, {"approval": f"a{number}", "expires": START + 1, "agent": "scout"}),
            (Tag.INTENT, {"approval": "", "agent": "scout"}),
        ):
            one = entry(figures.entries, tag, tier=3, use_case="support", **leaf)
            known[one.index] = one
            figures.fold(one, known.__getitem__)
    for intent in range(1, 2 * count, 2):
        one = entry(figures.entries, Tag.OUTCOME, intent=intent, status="succeeded")
        figures.fold(one, known.__getitem__)
    assert len(figures._questions) == QUESTIONS_MAX
    assert len(figures._begun) <= BEGUN_MAX
    assert len(figures.effects) == EFFECTS_MAX
    cell = figures.within(0, START + 1)[PAY]
    assert (cell.asked, cell.unanswered, cell.succeeded) == (count, count, count)


@pytest.mark.requirement("STAT-05")
def test_an_end_of_an_intent_that_is_not_there_is_of_no_group():
    figures = folded(
        [
            entry(0, Tag.OUTCOME, intent=7, status="succeeded"),
            entry(1, Tag.OUTCOME, intent=-3, status="succeeded"),
            entry(2, Tag.OUTCOME, intent=0, status="won"),
        ]
    )
    cell = figures.within(0, START)[UNSAID]
    assert (cell.succeeded, cell.unreadable) == (2, 1)


@pytest.mark.requirement("STAT-06")
async def test_an_effect_under_a_schedule_is_traced_to_who_answers_for_it():
    bench = await at_eleven()
    mandate = await issue_mandate(*to_issue(bench.walk), signed(scheduled(bench)))
    answer = await bench.act("send", MAIL, mandate=mandate.id)
    assert person_of(bench, answer.receipt.index) == "alice"


@pytest.mark.requirement("STAT-06")
async def test_an_effect_that_was_handed_on_is_traced_by_every_hop():
    bench = await Bench().registered()
    believing(bench)
    mandate = await mandated(bench)
    answer = await govern_action(*to_govern(bench.walk), *asked(bench, chain_of(bench, mandate)))
    assert person_of(bench, answer.receipt.index) == "alice"
    (hops,) = [one for one in bench.recorder.ledger.replay() if one.tag == Tag.INTENT]
    assert b'"hops":[{' in hops.leaf


@pytest.mark.requirement("STAT-06")
async def test_an_effect_about_a_customer_is_traced_to_the_person_and_not_to_the_customer():
    bench = await customers_bench()
    answer = await bench.refund(100)
    assert person_of(bench, answer.receipt.index) == "alice"


@pytest.mark.requirement("STAT-06")
async def test_what_was_erased_is_not_traced_and_counts_as_that():
    bench = await ready()
    for _ in range(3):
        await bench.act()

    class Erased:
        of = bench.recorder.subject_keys.of

        def find(self, _key):
            return None

    bench.recorder.subject_keys = Erased()
    cell = (await cells_of(bench))[READ]
    assert (cell.traced, cell.untraced) == (0, 3)


@pytest.mark.requirement("STAT-06")
@pytest.mark.parametrize(
    "broken", ["intent", "mandate", "another", "unsaid", "log", "principal", "hop", "hash"]
)
async def test_a_link_that_is_not_what_it_is_referred_to_as_ends_the_trace(broken):
    bench = await ready()
    answer = await bench.act()
    walk = bench.walk
    at = answer.receipt.index if broken == "hash" else answer.intent.index
    intent = walk.recorder.ledger.entry(at)
    leaf = msgspec.json.decode(intent.leaf)
    match broken:
        case "hash":
            leaf["intent_leaf"] = "0" * 64
        case "mandate":
            leaf["mandate_ref"] = {"entry": leaf["mandate_ref"], "leaf": "0" * 64}
        case "another":
            leaf["mandate_ref"] = leaf["policy_ref"]
        case "unsaid":
            del leaf["mandate_ref"]
        case "log":
            leaf["mandate_ref"] = {"entry": leaf["mandate_ref"], "log": "log.example/other"}
        case "principal":
            leaf["principal"] = "0" * 64
        case "hop":
            leaf["hops"] = [{"agent": "rover", "entry": 0, "id": "x", "leaf": "0" * 64}]
    spoilt = msgspec.structs.replace(
        intent,
        leaf=encode_ledger(leaf),
        tag=int(Tag.REFUSAL) if broken == "intent" else intent.tag,
    )
    whole = walk.recorder.ledger.entry
    walk.recorder.ledger.entry = lambda index: spoilt if index == at else whole(index)
    try:
        assert person_of(bench, answer.receipt.index) == ""
    finally:
        del walk.recorder.ledger.entry
    assert person_of(bench, answer.receipt.index) == "alice"


@pytest.mark.requirement("STAT-06")
async def test_keys_that_cannot_be_had_just_now_are_no_missing_trace():
    bench = await ready()
    answer = await bench.act()

    class Away:
        of = bench.recorder.subject_keys.of

        def find(self, _key):
            raise Unavailable("no keys", code="subject_keys.unavailable", port="subject_keys")

    bench.recorder.subject_keys = Away()
    with pytest.raises(Unavailable):
        person_of(bench, answer.receipt.index)


@pytest.mark.requirement("STAT-02")
async def test_a_clock_that_was_set_back_or_far_ahead_loses_nothing():
    bench = await ready()
    await bench.act()
    asking = await bench.refund(6_000)
    bench.clock.jump(-30)
    await bench.answer(asking.approval)
    bench.clock.jump(40 * 365 * 86_400)
    with pytest.raises(Refused):
        await bench.act()
    figures, now = await figures_of(bench), bench.clock.now()
    assert comparable(figures, now) == comparable(counted_again(bench.recorder.ledger), now)
    pay = figures.within(0, now)[PAY]
    assert (pay.approved, pay.waits.exact) == (1, [0])


@pytest.mark.requirement("STAT-02")
async def test_a_reader_that_is_broken_off_anywhere_counts_each_entry_once():
    import anyio

    bench = await ready()
    for _ in range(40):
        await bench.act()
    for _ in range(30):
        with anyio.move_on_after(0):
            await read_figures(bench.recorder, bench.asking.figures, seconds_max=1.0)
    figures, now = await figures_of(bench), bench.clock.now()
    assert comparable(figures, now) == comparable(counted_again(bench.recorder.ledger), now)
