"""What intents rest on is written once per opening, before them, and cannot be made to cost budget or approval."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec import structs

from answerable.core.canonical import parse
from answerable.core.ledger.answer import Answer
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Refused, Unavailable
from answerable.flows.entries import cite_statement
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import POLICIES, Bench, bench_documents, memory_ledger
from answerable.testing.clock import ManualClock
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.verify.citations import Citations
from answerable.verify.leaf_rules import Fault as LeafFault
from answerable.verify.leaf_rules import read_leaf
from tests.unit.flows.test_known_lineages import HandedOn
from tests.worlds.parts import to_govern
from tests.worlds.walk import cited, stored_of, striking

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.testing.fault_injection import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SEAL-06")]

M1 = MandateId("m-1")
STOP = POLICIES + '@id("stop") @reason("all is stopped") forbid (principal, action, resource);\n'


async def ready(calls_max: int = 100) -> Bench:
    bench = await Bench().registered()
    await bench.issue(calls_max=calls_max)
    return bench


def kinds(bench: Bench) -> list[JSONValue]:
    return [entry["kind"] for entry in bench.entries(Tag.CITED)]


def misreferred(bench: Bench) -> list[LeafFault]:
    """What a stranger finds wrong with the references in this log."""
    citations = Citations()
    found = []
    for stored in bench.recorder.ledger.replay():
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, LeafFault), leaf
        found.append(citations.fault(stored.index, leaf, stored.leaf_hash))
    return [fault for fault in found if fault is not None]


@pytest.mark.requirement("HOUSE-43")
async def test_an_intent_refers_to_the_mandate_the_policies_and_the_tool_it_rests_on_by_their_index():
    bench = await ready()
    await bench.act()
    (intent,) = bench.entries(Tag.INTENT)
    stated = {stored.index for stored in stored_of(bench, Tag.CITED)}
    found = {}
    for member in ("mandate_ref", "policy_ref", "tool_ref"):
        reference = intent[member]
        assert isinstance(reference, int)
        assert reference < int(str(intent["index"]))
        assert reference in stated
        found[member] = bench.opened(reference)
    leaf, fields = found["mandate_ref"]
    mandate = bench.authority.mandates.find(M1)
    assert mandate is not None
    assert (leaf["kind"], leaf["name"], leaf["principal"]) == ("mandate", "m-1", intent["principal"])
    assert (fields["token"], fields["principal"]) == (mandate.token, "alice")
    leaf, fields = found["policy_ref"]
    assert isinstance(intent["decision"], dict)
    assert (leaf["kind"], leaf["name"]) == ("policy_set", intent["decision"]["policy_set"])
    assert fields["text"] == parse(bench.walk.policies.decision_point.policy_statement)
    assert isinstance(fields["text"], dict)
    assert fields["text"]["policies"] == policy_text(bench.authority.registry.current)
    leaf, fields = found["tool_ref"]
    definition = bench.upstream.definition(bench.authority.registry.current.capabilities["crm.read"])
    assert definition is not None
    assert (leaf["kind"], leaf["name"]) == ("tool", definition.digest)
    assert fields["text"] == json.loads(definition.text)
    assert not misreferred(bench)


async def test_each_statement_is_written_once_for_all_actions_and_again_after_reopening():
    bench = await ready()
    for _ in range(5):
        await bench.act()
    assert kinds(bench) == ["policy_set", "tool", "mandate"]
    await bench.refund(100)
    assert kinds(bench) == ["policy_set", "tool", "mandate", "tool"]
    await bench.issue("m-2", agent="rover")
    await bench.act(mandate="m-2", agent="rover")
    assert kinds(bench)[4:] == ["mandate"]
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
    await again.act()
    await again.act()
    assert kinds(again)[5:] == ["policy_set", "tool", "mandate"]
    assert not misreferred(again)


async def test_an_action_that_was_handed_on_refers_to_the_entries_of_its_hops_which_are_written_once():
    bench = await Bench().registered()
    handed_on = HandedOn(bench)
    for _ in range(2):
        action, caller = bench.request("get_case", {"case": "4711"}, mandate="", agent="rover")
        action = structs.replace(action, delegation=handed_on.chain)
        caller = structs.replace(caller, proof="dpop", key=caller.binding, binding="")
        await govern_action(*to_govern(bench.walk), action, caller)
    cited = {one["hop"]: one["index"] for one in bench.entries(Tag.CITED) if one["kind"] == "hop"}
    hops = [[(hop["id"], hop["entry"]) for hop in one["hops"]] for one in bench.entries(Tag.INTENT)]
    assert [*cited] == ["hop-scout", "hop-rover"]
    assert hops == [[*cited.items()]] * 2


async def test_of_sixty_four_first_callers_at_once_each_statement_is_written_by_one():
    bench = await ready()
    answers = await asyncio.gather(*(bench.act() for _ in range(64)))
    assert all(answer.outcome is not None for answer in answers)
    assert kinds(bench) == ["policy_set", "tool", "mandate"]
    assert len(bench.entries(Tag.INTENT)) == 64
    assert not misreferred(bench)


async def test_of_sixty_four_first_callers_who_all_wait_for_room_each_statement_is_written_by_one():
    bench = await ready()
    busy = iter(["busy"] * 150)
    bench.recorder.ledger = TroubledLedger(
        bench.recorder.ledger,
        Trouble(lambda _n, method: next(busy, None) if method == "ledger.submit" else None),
    )
    answers = await asyncio.gather(*(bench.act() for _ in range(64)))
    assert all(answer.outcome is not None for answer in answers)
    assert sorted(map(str, kinds(bench))) == ["mandate", "policy_set", "tool"]
    assert not misreferred(bench)


@pytest.mark.parametrize("at", range(3))
async def test_while_the_log_is_busy_with_citing_neither_budget_nor_approval_is_touched(at: int):
    bench = await ready(calls_max=1)
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    await bench.answer(asked)
    seen = []

    class Watched(TroubledLedger):
        async def room(self, entry: object) -> None:
            approval = bench.authority.approvals.find(asked.id)
            seen.append((bench.authority.mandates.calls_used(M1), approval.state if approval else None))
            await asyncio.sleep(0)

    bench.recorder.ledger = Watched(bench.recorder.ledger, striking("ledger.submit", "busy", at=at))
    assert (await bench.refund(6000)).outcome is not None
    assert seen == [(0, "approved")]
    assert len(bench.upstream.effects) == 1


@pytest.mark.requirement("WALK-08")
@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("fault", ["full", "undone", "done"])
async def test_when_citing_fails_nothing_is_done_and_neither_budget_nor_approval_is_touched(
    fault: Fault, at: int
):
    bench = await ready(calls_max=1)
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    await bench.answer(asked)
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(raw, striking("ledger.submit", fault, at=at))
    with pytest.raises(Unavailable) as told:
        await bench.refund(6000)
    assert told.value.effect == "none"
    # A write that failed shows only at the next one: what was cited last may have let its caller reserve already.
    untouched = fault == "full" or at < 2
    approval = bench.authority.approvals.find(asked.id)
    assert approval is not None
    if untouched:
        assert (bench.authority.mandates.calls_used(M1), approval.state) == (0, "approved")
    assert bench.authority.mandates.calls_used(M1) == 0
    assert not bench.upstream.effects
    assert not [stored for stored in raw.replay() if stored.tag == Tag.INTENT]


async def test_a_log_that_is_full_while_citing_refuses_the_action_and_can_be_asked_again():
    clock = ManualClock()
    bench = await Bench(
        clock=clock, ledger=memory_ledger(clock, entries_max=16, reserve_entries=10)
    ).registered()
    await bench.issue()
    with pytest.raises(Unavailable) as told:
        await bench.act()
    assert (told.value.code, told.value.effect) == ("ledger.full", "none")
    assert bench.authority.mandates.calls_used(M1) == 0
    assert kinds(bench) == ["policy_set", "tool"], "what was written before there was no room stays cited"


async def swapped_while_citing_waits(policies: str) -> tuple[Bench, Answer | BaseException]:
    """Another policy set comes into force while an action waits for room for what it cites."""
    bench = await ready()
    raw = bench.recorder.ledger
    swapping: list[asyncio.Task[Bench]] = []

    class Slow(TroubledLedger):
        async def room(self, entry: object) -> None:
            bench.recorder.ledger = raw
            swapping.append(asyncio.create_task(bench.registered(bench_documents(policies))))
            await swapping[0]
            await asyncio.sleep(0)

    before = bench.walk.policies.decision_point.policy_set
    bench.recorder.ledger = Slow(raw, striking("ledger.submit", "busy"))
    (ended,) = await asyncio.gather(bench.act(), return_exceptions=True)
    assert bench.walk.policies.decision_point.policy_set != before
    return bench, ended


@pytest.mark.requirement("WALK-14")
async def test_a_policy_set_that_forbids_it_by_now_is_the_one_that_decides_after_waiting():
    bench, ended = await swapped_while_citing_waits(STOP)
    assert isinstance(ended, Refused)
    assert ended.reasons == ("all is stopped",)
    assert not bench.upstream.effects
    assert not bench.entries(Tag.INTENT)
    assert bench.authority.mandates.calls_used(M1) == 0


@pytest.mark.requirement("WALK-14")
async def test_a_policy_set_swapped_while_citing_waits_is_cited_itself_and_each_under_its_own_digest():
    longer = POLICIES + '@id("more") permit (principal, action == Action::"crm.read", resource);\n'
    bench, ended = await swapped_while_citing_waits(longer)
    assert isinstance(ended, Answer)
    (intent,) = bench.entries(Tag.INTENT)
    assert isinstance(intent["decision"], dict)
    assert intent["decision"]["policy_set"] == bench.walk.policies.decision_point.policy_set
    texts = {
        entry["name"]: bench.opened(int(str(entry["index"])))[1]["text"]["policies"]
        for entry in bench.entries(Tag.CITED)
        if entry["kind"] == "policy_set"
    }
    # The first was read before the wait: its text and its digest belong together although another is in force now.
    assert len(texts) == 2
    assert texts[bench.walk.policies.decision_point.policy_set] == policy_text(
        bench.authority.registry.current
    )
    assert set(texts.values()) == {POLICIES, longer}
    assert not misreferred(bench)


async def test_who_leaves_while_citing_waits_has_done_nothing_and_what_is_cited_is_not_lost():
    bench = await ready()
    raw = bench.recorder.ledger

    class Endless(TroubledLedger):
        async def room(self, entry: object) -> None:
            await anyio.sleep_forever()

    bench.recorder.ledger = Endless(raw, striking("ledger.submit", "busy", at=1))
    acting = asyncio.create_task(bench.act())
    await asyncio.sleep(0)
    acting.cancel()
    await asyncio.gather(acting, return_exceptions=True)
    assert acting.cancelled()
    assert not bench.upstream.effects
    assert bench.authority.mandates.calls_used(M1) == 0
    bench.recorder.ledger = raw
    assert kinds(bench) == ["policy_set"]
    assert (await bench.act()).outcome is not None
    assert kinds(bench) == ["policy_set", "tool", "mandate"]


async def test_past_its_bound_the_memory_of_what_is_cited_starts_anew_and_still_leads_to_intents(monkeypatch):
    monkeypatch.setattr(cite_statement, "CITED_MAX", 4)
    bench = await ready()
    for number in range(2, 7):
        await bench.issue(f"m-{number}")
    for number in (1, 2, 3, 4, 5, 6, 1):
        assert (await bench.act(mandate=f"m-{number}")).outcome is not None
        assert len(bench.recorder.cited) <= 4
    assert not misreferred(bench)


async def test_a_refused_or_deferred_action_cites_nothing():
    bench = await ready()
    await bench.refund(6000)
    with pytest.raises(Refused):
        await bench.refund(2_000_000)
    assert kinds(bench) == []


async def test_what_is_cited_is_sealed_for_whose_data_it_is():
    bench = await ready()
    await cited(bench)
    keys = bench.recorder.subject_keys
    for stored in stored_of(bench, Tag.CITED):
        leaf = parse(stored.leaf)
        assert isinstance(leaf, dict)
        subject = "principal:alice" if leaf["kind"] == "mandate" else "log:own"
        assert stored.attachment[1:17] == keys.of(subject).id


async def test_a_decision_of_many_policies_with_long_names_fits_its_leaf():
    names = [f"{'x' * 110}-{number:03d}" for number in range(40)]
    permits = "".join(f'@id("{name}") permit (principal, action, resource);' for name in names)
    bench = await Bench().registered(bench_documents(permits))
    await bench.issue()
    await bench.act()
    decision = bench.entries(Tag.INTENT)[0]["decision"]
    assert isinstance(decision, dict)
    assert isinstance(decision["by"], list)
    assert 0 < len(decision["by"]) < 16
