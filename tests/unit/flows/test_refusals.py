"""Every no: told with its code, recorded with its reasons, within a quota, and nothing happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.core.action.request import action_request
from answerable.core.decision.decision import Decision
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.mandate import Grant
from answerable.errors import Refused, Unavailable, Unverified
from answerable.flows.recovery.settle_open_intents import record_counted_refusals
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.testing.samples import OWNERSHIP, document
from answerable.testing.trouble_outside import TroubledUpstream
from tests.worlds.parts import to_govern
from tests.worlds.walk import fields_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.facts import Facts

pytestmark = pytest.mark.anyio

NARROW = (Grant(capability="crm.refund", caveats=(ResourceIn(ids=("4711",)),)),)


async def _expired(bench: Bench) -> None:
    await bench.issue(seconds=60)
    bench.clock.advance(61)
    await bench.act()


async def _not_yet(bench: Bench) -> None:
    bench.clock.advance(600)
    await bench.issue()
    bench.clock.jump(-300)
    await bench.act()


async def _closed(bench: Bench) -> None:
    await bench.issue()
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    await bench.act()


async def _spent(bench: Bench) -> None:
    await bench.issue(calls_max=1)
    await bench.act()
    await bench.act()


async def _foreign(bench: Bench) -> None:
    await bench.issue("m-1", agent="rover")
    await bench.act(agent="scout")


async def _capability_outside(bench: Bench) -> None:
    await bench.issue(grants=NARROW)
    await bench.act()


async def _caveat(bench: Bench) -> None:
    await bench.issue(grants=NARROW)
    await bench.act("refund", {"case": "4712", "amount": 1})


async def _unfit(bench: Bench) -> None:
    await bench.issue()
    await bench.act("refund", {"case": "4711", "amount": "much", "memo": "x"})


async def _no_resource(bench: Bench) -> None:
    await bench.issue()
    await bench.act("get_case", {"case": ""})


async def _unknown_capability(bench: Bench) -> None:
    await bench.issue()
    await bench.act("delete_case", {"case": "4711"})


async def _unknown_mandate(bench: Bench) -> None:
    await bench.act(mandate="m-9")


async def _no_mandate(bench: Bench) -> None:
    await bench.act(mandate="")


async def _suspended(bench: Bench) -> None:
    await bench.issue()
    documents = bench_documents()
    for one in documents:
        assert isinstance(one, dict)
        if one["kind"] == "Agent":
            assert isinstance(one["spec"], dict)
            one["spec"]["status"] = "suspended"
    await bench.registered(documents)
    await bench.act()


async def _unknown_agent(bench: Bench) -> None:
    await bench.act(agent="nobody")


async def _upstream_silent(bench: Bench) -> None:
    await bench.issue()
    bench.walk.verification.upstream = TroubledUpstream(bench.upstream, Trouble(lambda _n, _m: "undone"))
    await bench.act()


async def _forbidden(bench: Bench) -> None:
    await bench.issue()
    await bench.refund(2_000_000)


async def _default_deny(bench: Bench) -> None:
    await bench.issue()
    await bench.registered(
        bench_documents('@id("nothing") permit (principal, action == Action::"crm.refund", resource);')
    )
    await bench.act()


CASES: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "mandate.expired": _expired,
    "mandate.not_yet": _not_yet,
    "mandate.closed": _closed,
    "mandate.budget_spent": _spent,
    "mandate.other_agent": _foreign,
    "mandate.capability_outside": _capability_outside,
    "mandate.caveat": _caveat,
    "mandate.unknown": _unknown_mandate,
    "mandate.missing": _no_mandate,
    "arguments.invalid": _unfit,
    "resource.unknown": _no_resource,
    "capability.unknown": _unknown_capability,
    "agent.inactive": _suspended,
    "upstream.unknown": _upstream_silent,
    "refund-never": _forbidden,
    "policy.default_deny": _default_deny,
}


@pytest.mark.requirement("WALK-05", "WALK-09")
@pytest.mark.parametrize("code", CASES)
async def test_each_no_is_told_and_recorded_with_its_reasons_before_anything_happens(code: str):
    bench = await Bench().registered()
    with pytest.raises(Refused) as told:
        await CASES[code](bench)
    assert told.value.code == code
    (entry,) = bench.entries(Tag.REFUSAL)
    assert entry["index"] == told.value.entry_index
    assert entry["code"] == code
    assert isinstance(entry["by"], list)
    assert entry["by"][0] == code
    assert entry["agent"] in ("scout", "rover")
    (fields,) = fields_of(bench, Tag.REFUSAL)
    assert fields["reasons"] == list(told.value.reasons)
    assert isinstance(fields["action"], dict)
    assert len(bench.upstream.effects) == (1 if code == "mandate.budget_spent" else 0)


@pytest.mark.requirement("WALK-09")
async def test_an_unregistered_agent_is_refused_and_recorded():
    bench = await Bench().registered()
    with pytest.raises(Refused) as told:
        await _unknown_agent(bench)
    assert told.value.code == "agent.inactive"
    assert bench.entries(Tag.REFUSAL)[0]["agent"] == "nobody"


@pytest.mark.requirement("WALK-09")
async def test_a_foreign_mandate_is_told_like_an_unknown_one():
    bench = await Bench().registered()
    await bench.issue("m-1", agent="rover")
    messages = []
    for name in ("m-1", "m-9"):
        with pytest.raises(Refused) as told:
            await bench.act(mandate=name)
        messages.append(told.value.message.replace(name, "X"))
    assert messages[0] == messages[1]


@pytest.mark.requirement("WALK-09")
async def test_a_proof_over_other_bytes_is_nobodys_and_leaves_no_entry():
    bench = await Bench().registered()
    await bench.issue()
    action, _ = bench.request("get_case", {"case": "4711"})
    _, other = bench.request("get_case", {"case": "4711"})
    size = bench.recorder.ledger.size
    with pytest.raises(Unverified) as told:
        await govern_action(*to_govern(bench.walk), action, other)
    assert told.value.code == "proof.other_message"
    assert bench.recorder.ledger.size == size
    assert not bench.upstream.effects


@pytest.mark.requirement("WALK-05")
async def test_past_the_quota_an_agent_is_held_and_its_refusals_are_counted():
    bench = await Bench(limits=WalkLimits(refusals_recorded_max=3, refusals_window_ms=60_000)).registered()
    await bench.issue("m-1")
    await bench.issue("m-2", agent="rover")
    for _ in range(3):
        with pytest.raises(Refused, match="nobody refunds"):
            await bench.refund(2_000_000)
    size = bench.recorder.ledger.size
    for _ in range(4):
        with pytest.raises(Refused) as told:
            await bench.act()
        assert told.value.code == "held.mandate"
        assert told.value.entry_index is None
    assert bench.recorder.ledger.size == size
    assert (await bench.act(mandate="m-2", agent="rover")).outcome is not None, "others are not held"
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    (counted,) = bench.entries(Tag.REFUSALS_COUNTED)
    assert counted["agents"] == {"scout": 4}
    bench.clock.advance(61)
    assert (await bench.act()).outcome is not None, "the window is over"


@pytest.mark.requirement("WALK-05")
async def test_counts_that_could_not_be_written_down_are_kept():
    bench = await Bench(limits=WalkLimits(refusals_recorded_max=1)).registered()
    for _ in range(3):
        with pytest.raises(Refused):
            await bench.act(mandate="m-9")
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: "full" if "submit" in method else None)
    )
    with pytest.raises(Unavailable):
        await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    bench.recorder.ledger = raw
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    (entry,) = bench.entries(Tag.REFUSALS_COUNTED)
    assert entry["agents"] == {"scout": 2}


@pytest.mark.requirement("WALK-05")
async def test_however_many_agents_were_held_all_are_in_the_aggregates():
    bench = await Bench(limits=WalkLimits(refusals_recorded_max=0)).registered()
    names = [f"agent-with-a-name-as-long-as-names-may-be-{number:021d}" for number in range(100)]
    for name in names:
        with pytest.raises(Refused):
            await govern_action(*to_govern(bench.walk), *bench.request("get_case", {}, agent=name))
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    told: dict[str, JSONValue] = {}
    for entry in bench.entries(Tag.REFUSALS_COUNTED):
        assert isinstance(entry["agents"], dict)
        told |= entry["agents"]
    assert told == dict.fromkeys(names, 1)


@pytest.mark.requirement("WALK-05", "WALK-10")
async def test_a_refusal_that_cannot_be_written_down_is_counted_and_still_a_no():
    bench = await Bench().registered()
    await bench.issue()
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: "full" if "submit" in method else None)
    )
    with pytest.raises(Unavailable) as told:
        await bench.refund(2_000_000)
    assert told.value.effect == "none"
    bench.recorder.ledger = raw
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    assert bench.entries(Tag.REFUSALS_COUNTED)[0]["agents"] == {"scout": 1}
    assert not bench.upstream.effects


async def test_a_deny_without_reasons_is_a_no_all_the_same():
    bench = await Bench().registered()
    await bench.issue()

    class Silent:
        policy_set = "0" * 64
        policy_statement = b"{}"

        def decide(self, verified: object, facts: Facts) -> Decision:
            return Decision(effect="deny", reasons=(), determined_by=(), policy_set=self.policy_set)

        def for_registry(self, snapshot: object) -> None:
            return None

        def may_list(self, agent: str, capability: str) -> bool:
            return True

    bench.walk.policies.decision_point = Silent()
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == "policy.unexplained"
    assert not bench.upstream.effects


async def test_hostile_names_and_reasons_are_recorded_and_do_not_break_the_record():
    bench = await Bench().registered()
    nasty = '\x1b[2J\u202e\n"}' * 30
    action = action_request(
        server="\x00" * 64,
        method="tools/call",
        target="\x01" * 512,
        arguments={nasty: nasty},
        mandate_id="\x02" * 200,
        reason=nasty,
        message_digest=bytes(32),
    )
    _, caller = bench.request("get_case", {})
    caller = type(caller)(
        agent=caller.agent,
        proof=caller.proof,
        binding="\x03" * 128,
        sequence=1,
        message_digest=bytes(32),
        at=caller.at,
    )
    with pytest.raises(Refused) as told:
        await govern_action(*to_govern(bench.walk), action, caller)
    assert told.value.entry_index is not None
    assert told.value.message.isprintable()


async def test_a_resource_may_be_an_integer_fixed_or_taken_from_the_target():
    documents = bench_documents()
    for one in documents:
        assert isinstance(one, dict)
        if one["kind"] == "Capability":
            spec = one["spec"]
            assert isinstance(spec, dict)
            by_amount = spec["target"] == "refund"
            spec["resource"] = (
                {"type": "Sum", "argument": "amount"} if by_amount else {"type": "Crm", "fixed": "all"}
            )
    template: dict[str, JSONValue] = {
        "server": "crm",
        "environment": "production",
        "sensitivity": "confidential",
        "method": "resources/read",
        "target": "crm://cases/{case}",
        "kind": "read",
        "tier": 0,
        "resource": {"type": "Case", "argument": "case"},
        "ownership": {**OWNERSHIP},
    }
    documents.append(document("Capability", "crm.case", template))
    policies = '@id("all") permit (principal, action, resource);'
    documents = [d for d in documents if not (isinstance(d, dict) and d["kind"] == "PolicySet")]
    documents.append(document("PolicySet", "house", {"policies": policies}))
    bench = await Bench().registered(documents)
    grants = tuple(
        Grant(capability=name, caveats=(ResourceIn(ids=(resource,)),))
        for name, resource in (("crm.refund", "250"), ("crm.read", "all"), ("crm.case", "4711"))
    )
    await bench.issue(grants=grants)
    assert (await bench.refund(250)).outcome is not None
    with pytest.raises(Refused, match="250"):
        await bench.refund(251)
    assert (await bench.act()).outcome is not None
    for case, reads in (("4711", True), ("4712", False)):
        _, caller = bench.request("get_case", {})
        action = action_request(
            server="crm",
            method="resources/read",
            target=f"crm://cases/{case}",
            # What the target says cannot be said otherwise by an argument; this upstream takes none.
            arguments={},
            mandate_id="m-1",
            message_digest=caller.message_digest,
        )
        if reads:
            assert (await govern_action(*to_govern(bench.walk), action, caller)).outcome is not None
        else:
            with pytest.raises(Refused, match="4712"):
                await govern_action(*to_govern(bench.walk), action, caller)
