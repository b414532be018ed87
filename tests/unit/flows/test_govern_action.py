"""The walk of one action: order, names, what fails and what is said then."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.core.action.outcome import Outcome
from answerable.core.canonical import encode
from answerable.core.decision.decision import Decision, Reason
from answerable.core.ledger.entry import LEAF_BYTES_MAX
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.core.registry.parsing.parse import document_key
from answerable.errors import Broken, Refused, Unavailable
from answerable.flows.recovery.settle_open_intents import settle_open_intents
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents, memory_ledger
from answerable.testing.clock import ManualClock
from answerable.testing.fault_injection import Trouble, TroubledApprovals, TroubledLedger
from answerable.testing.recording_upstream import Effect
from answerable.testing.trouble_outside import TroubledUpstream
from tests.worlds.parts import to_govern, to_settle
from tests.worlds.walk import cited, fields_of, sealed_values, stored_of, striking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.facts import Facts
    from answerable.core.ledger.warrant import Warrant
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.upstream import Progress
    from answerable.testing.fault_injection import Fault

pytestmark = pytest.mark.anyio


async def ready(calls_max: int = 20) -> Bench:
    """Everything an intent refers to is in the log already."""
    bench = await Bench().registered()
    await bench.issue(calls_max=calls_max)
    await cited(bench, "get_case", "refund")
    return bench


@pytest.mark.requirement("WALK-01", "WALK-02")
async def test_the_intent_is_readable_with_its_names_before_anything_happens():
    bench = await ready()
    seen: list[object] = []

    async def look(effect: Effect) -> None:
        intent, (fields,) = bench.entries(Tag.INTENT)[-1], fields_of(bench, Tag.INTENT)
        assert not {"key", "lease"} & intent.keys(), "no broker acts, and the key is the action's"
        seen.append((intent["index"], intent["action"], "", fields["digest"]))
        assert not bench.entries(Tag.OUTCOME)
        assert intent["deadline"] == bench.clock.now() + WalkLimits().intent_ttl_ms
        assert (effect.intent, effect.key, "", effect.digest) == seen[-1]

    bench.upstream.before = look
    answer = await bench.act()
    assert len(seen) == 1
    assert answer.outcome == Outcome(status="succeeded", result={"ok": True})
    assert answer.intent is not None
    assert answer.receipt is not None
    outcome = bench.entries(Tag.OUTCOME)[0]
    assert outcome["index"] == answer.receipt.index
    assert outcome["intent"] == answer.intent.index
    assert "intent_leaf" not in outcome
    assert not bench.upstream.violations
    assert not bench.recorder.open_intents


@pytest.mark.requirement("WALK-01", "WALK-10")
@pytest.mark.parametrize(
    ("fault", "code", "used", "durable"),
    [
        ("full", "ledger.full", 0, 0),
        ("undone", "ledger.poisoned", 1, 0),
        ("done", "ledger.poisoned", 1, 1),
    ],
)
async def test_without_a_durable_intent_nothing_is_performed(
    fault: Fault, code: str, used: int, durable: int
):
    bench = await ready()
    bench.recorder.ledger = TroubledLedger(bench.recorder.ledger, striking("ledger.submit", fault))
    with pytest.raises(Unavailable) as told:
        await bench.act()
    assert (told.value.code, told.value.effect) == (code, "none")
    assert not bench.upstream.effects
    # What may be on disk counts as used until a restart knows.
    assert bench.authority.mandates.calls_used(MandateId("m-1")) == used
    assert len([s for s in bench.recorder.ledger._ledger.replay() if s.tag == Tag.INTENT]) == durable


async def test_a_log_without_room_at_this_moment_is_waited_for():
    bench = await ready()
    bench.recorder.ledger = TroubledLedger(bench.recorder.ledger, striking("ledger.submit", "busy"))
    assert (await bench.act()).outcome is not None
    assert len(bench.upstream.effects) == 1


@pytest.mark.requirement("WALK-10")
async def test_a_failed_write_of_the_outcome_says_that_an_effect_is_possible_and_settling_ends_the_intent():
    bench = await ready()
    bench.recorder.ledger = TroubledLedger(bench.recorder.ledger, striking("ledger.submit", "full", at=1))
    bench.upstream.answer = lambda _: Outcome(status="succeeded")
    with pytest.raises(Unavailable) as told:
        await bench.act()
    assert (told.value.code, told.value.effect) == ("ledger.full", "unknown")
    assert len(bench.upstream.effects) == len(bench.recorder.open_intents) == 1
    # What is known is told as soon as there is room; nobody has to wait for the deadline, and nothing is said twice.
    assert await settle_open_intents(*to_settle(bench.walk)) == 1
    (end,) = bench.entries(Tag.OUTCOME, Tag.INDETERMINATE)
    assert (end["tag"], end["status"]) == (Tag.OUTCOME, "succeeded")
    assert end["intent"] == bench.upstream.effects[0].intent
    assert await settle_open_intents(*to_settle(bench.walk)) == 0


async def test_an_upstream_that_says_no_is_failed_and_the_answer_is_kept():
    bench = await ready()
    bench.upstream.answer = lambda _: Outcome(
        status="failed", result={"isError": True}, detail="no such case"
    )
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.status == "failed"
    assert bench.entries(Tag.OUTCOME)[0]["status"] == "failed"


@pytest.mark.parametrize(
    ("fault", "status", "tag"),
    [("undone", "not_started", Tag.OUTCOME), ("done", "indeterminate", Tag.INDETERMINATE)],
)
async def test_an_adapter_that_breaks_leaves_an_honest_outcome(fault: Fault, status: str, tag: Tag):
    bench = await ready()
    bench.walk.verification.upstream = TroubledUpstream(bench.upstream, striking("upstream.perform", fault))
    with pytest.raises(ConnectionError):
        await bench.act()
    assert [entry["status"] for entry in bench.entries(tag)] == [status]
    assert not bench.recorder.open_intents


async def test_when_adapter_and_ledger_break_together_the_adapters_error_is_told():
    bench = await ready()
    bench.walk.verification.upstream = TroubledUpstream(bench.upstream, striking("upstream.perform", "done"))
    bench.recorder.ledger = TroubledLedger(bench.recorder.ledger, striking("ledger.submit", "done", at=1))
    with pytest.raises(ConnectionError) as told:
        await bench.act()
    assert isinstance(told.value.__cause__, Unavailable)


@pytest.mark.requirement("WALK-01")
async def test_a_warrant_past_its_deadline_is_not_performed():
    bench = await Bench(limits=WalkLimits(intent_ttl_ms=0)).registered()
    await bench.issue()
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.status == "not_started"
    assert "has expired" in answer.outcome.detail
    assert not bench.upstream.effects


@pytest.mark.requirement("WALK-01")
async def test_an_upstream_that_redeems_twice_breaks_an_invariant_and_happens_once():
    bench = await ready()

    class Greedy:
        definition = bench.upstream.definition
        generation = 0

        async def perform(self, warrant: Warrant, *, progress: Progress | None = None) -> Outcome:
            await bench.upstream.perform(warrant, progress=progress)
            return await bench.upstream.perform(warrant, progress=progress)

    bench.walk.verification.upstream = Greedy()
    with pytest.raises(Broken, match="redeemed once"):
        await bench.act()
    assert len(bench.upstream.effects) == 1
    assert bench.entries(Tag.INDETERMINATE)[0]["status"] == "indeterminate"


class Meddling:
    """Decides as Cedar does; something else happens just before it answers."""

    def __init__(self, inner: DecisionPoint, meddle: object) -> None:
        self._inner, self._meddle = inner, meddle
        self.policy_set, self.policy_statement = inner.policy_set, inner.policy_statement
        self.may_list, self.for_registry = inner.may_list, inner.for_registry

    def decide(self, verified: VerifiedRequest, facts: Facts) -> Decision:
        decision = self._inner.decide(verified, facts)
        assert callable(self._meddle)
        self._meddle()
        return decision


async def test_a_mandate_closed_while_policy_decides_covers_nothing():
    bench = await ready()
    mandate = next(iter(bench.authority.mandates.all()))
    bench.walk.policies.decision_point = Meddling(
        bench.walk.policies.decision_point, lambda: bench.authority.mandates.close(mandate.id)
    )
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == "mandate.closed"
    assert not bench.entries(Tag.INTENT)


@pytest.mark.requirement("WALK-04")
async def test_an_approval_used_by_somebody_else_meanwhile_gives_the_call_back():
    bench = await ready()
    waiting = (await bench.refund(6000)).approval
    assert waiting is not None
    await bench.answer(waiting)
    bench.walk.policies.decision_point = Meddling(
        bench.walk.policies.decision_point,
        lambda: bench.authority.approvals.use(waiting.id, bench.clock.now()),
    )
    with pytest.raises(Refused) as told:
        await bench.refund(6000)
    assert told.value.code == "approval.used"
    assert bench.authority.mandates.calls_used(waiting.mandate) == 0
    assert not bench.upstream.effects


@pytest.mark.requirement("WALK-08")
@pytest.mark.parametrize("fault", ["undone", "done"])
async def test_a_register_that_fails_to_use_an_approval_gives_the_call_back(fault: Fault):
    bench = await ready()
    waiting = (await bench.refund(6000)).approval
    assert waiting is not None
    await bench.answer(waiting)
    bench.authority.approvals = TroubledApprovals(bench.authority.approvals, striking("approvals.use", fault))
    with pytest.raises(Unavailable):
        await bench.refund(6000)
    assert bench.authority.mandates.calls_used(waiting.mandate) == 0
    assert not bench.entries(Tag.INTENT)


@pytest.mark.requirement("WALK-08")
async def test_an_intent_that_cannot_be_written_down_gives_the_call_back():
    bench = await ready()
    inner = bench.walk.policies.decision_point

    class Talkative(Meddling):
        def decide(self, verified: VerifiedRequest, facts: Facts) -> Decision:
            found = inner.decide(verified, facts)
            return Decision(
                effect="allow",
                reasons=(Reason(source="p", text="yes"),),
                determined_by=found.determined_by,
                policy_set="0" * LEAF_BYTES_MAX,
            )

    bench.walk.policies.decision_point = Talkative(inner, lambda: None)
    with pytest.raises(Broken, match="leaf"):
        await bench.act()
    assert bench.authority.mandates.calls_used(MandateId("m-1")) == 0


@pytest.mark.requirement("WALK-08")
async def test_an_intent_that_is_too_large_though_all_it_refers_to_is_cited_gives_the_call_back():
    bench = await ready()
    action, caller = bench.request("get_case", {"case": "4711"})
    with pytest.raises(Broken, match="leaf"):
        await govern_action(
            *to_govern(bench.walk), action, structs.replace(caller, binding="b" * LEAF_BYTES_MAX)
        )
    assert bench.authority.mandates.calls_used(MandateId("m-1")) == 0
    assert not bench.entries(Tag.INTENT)
    assert (await bench.act()).outcome is not None


@pytest.mark.requirement("WALK-10")
async def test_a_full_log_refuses_intents_and_still_takes_the_outcome_without_the_answers_bytes():
    clock = ManualClock()
    bench = await Bench(clock=clock).registered()
    await bench.issue()
    await cited(bench)
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(raw, striking("ledger.submit", "full", at=1))
    bench.upstream.answer = lambda _: Outcome(status="succeeded", result={"text": "x" * 1000}, detail="done")
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.status == "succeeded"
    leaf, fields = bench.opened(raw.size - 1)
    assert leaf["status"] == "succeeded"
    whole = b'{"text":"%b"}' % (b"x" * 1000)
    assert fields == {"detail": "done", "result_digest": sha256(whole).hexdigest()}, (
        "the answer's digest is kept"
    )


@pytest.mark.requirement("WALK-10")
async def test_when_places_run_out_intents_are_refused_and_outcomes_recorded():
    clock = ManualClock()
    ledger = memory_ledger(clock, entries_max=15, reserve_entries=4)
    bench = await Bench(clock=clock, ledger=ledger).registered()
    await bench.issue()
    answers = await asyncio.gather(*(bench.act() for _ in range(6)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert {(one.code, one.effect) for one in refused} == {("ledger.full", "none")}
    assert len(refused) == 2
    assert len(bench.upstream.effects) == len(bench.entries(Tag.OUTCOME)) == 4
    assert not bench.recorder.open_intents


@pytest.mark.requirement("WALK-06")
async def test_what_a_caller_does_to_his_own_object_changes_nothing():
    bench = await ready()
    arguments: dict[str, object] = {"case": "4711", "amount": 100}
    action, caller = bench.request("refund", arguments)
    frozen = action.action.bytes

    async def mutate(_: Effect) -> None:
        arguments["amount"] = 999_999
        action.arguments["amount"] = 999_999
        arguments["case"] = "0000"

    bench.upstream.before = mutate
    walking = asyncio.create_task(govern_action(*to_govern(bench.walk), action, caller))
    arguments["amount"] = 888_888
    action.arguments["amount"] = 888_888
    await walking
    assert [effect.arguments for effect in bench.upstream.effects] == [{"case": "4711", "amount": 100}]
    (stored,) = stored_of(bench, Tag.INTENT)
    assert sealed_values(bench, stored)["request"] == frozen
    assert bench.opened(stored.index)[1]["digest"] == action.action.hex


@pytest.mark.requirement("WALK-06")
async def test_an_amount_changed_between_parsing_and_deciding_is_not_what_is_decided():
    bench = await ready()
    action, caller = bench.request("refund", {"case": "4711", "amount": 900_000})
    action.arguments["amount"] = 1
    answer = await govern_action(*to_govern(bench.walk), action, caller)
    assert answer.approval is not None, "900000 needs approvers, whatever the view says"


@pytest.mark.requirement("WALK-06")
async def test_what_an_upstream_does_to_its_arguments_changes_nothing():
    bench = await ready()

    async def mutate(effect: Effect) -> None:
        assert isinstance(effect.arguments, dict)
        effect.arguments["case"] = "0000"

    bench.upstream.before = mutate
    await bench.act()
    (stored,) = stored_of(bench, Tag.INTENT)
    assert b'"case":"4711"' in sealed_values(bench, stored)["request"]


async def stopped_while_the_intent_is_written(stop: Callable[[Bench], Awaitable[object]]) -> Bench:
    bench = await ready()
    bench.recorder.ledger = TroubledLedger(
        bench.recorder.ledger, Trouble(lambda _n, _m: None), latency=lambda: 5
    )
    walking = asyncio.create_task(bench.act())
    await asyncio.sleep(0)
    await stop(bench)
    answer = await walking
    assert answer.outcome is not None
    assert answer.outcome.status == "not_started"
    assert not bench.upstream.effects
    return bench


@pytest.mark.requirement("WALK-09")
async def test_a_mandate_closed_while_the_intent_is_written_stops_the_act():
    async def close(bench: Bench) -> None:
        bench.authority.mandates.close(MandateId("m-1"))

    bench = await stopped_while_the_intent_is_written(close)
    assert bench.entries(Tag.OUTCOME)[0]["status"] == "not_started"


@pytest.mark.requirement("WALK-09")
async def test_an_agent_stopped_while_the_intent_is_written_does_not_act():
    async def stop(bench: Bench) -> None:
        left = [
            d for d in bench_documents() if not (isinstance(d, dict) and d["metadata"] == {"name": "scout"})
        ]
        left = [d for d in left if not (isinstance(d, dict) and d["kind"] == "MandateTemplate")]
        bench.authority.registry.put({document_key(d): encode(d) for d in left})

    await stopped_while_the_intent_is_written(stop)
