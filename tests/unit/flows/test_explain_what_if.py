"""What agents could do at a moment, by the ledger alone."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.sqlite import SqliteToolPinRegister
from answerable.core.containment.hold import EVERYTHING, holdable
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.records_revocation import revoked
from answerable.core.ledger.subject import LOG_SUBJECT
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.caveat import ArgumentAtMost, ArgumentEquals, DestinationIn, ResourceIn
from answerable.core.mandate.mandate import Grant, MandateId
from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.core.registry.parsing.active import snapshot_of
from answerable.errors import Malformed, Refused
from answerable.flows.policy.explain_what_if import possible
from answerable.flows.recording.record_entry import sealing_for
from answerable.flows.recovery.moment_then import Then
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.walk.pin_tools import approve_tool
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.registers import fresh
from answerable.testing.samples import AUDIENCE, signing_key
from tests.worlds.hold import lift
from tests.worlds.parts import to_apply, to_approve, to_hold
from tests.worlds.tool import approval, described, describing

if TYPE_CHECKING:
    from answerable.flows.policy.explain_what_if import Told

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ANSWER-06")]


def then(bench: Bench, at: int | None = None) -> Then:
    found = Then(at=UnixMillis(bench.clock.now() if at is None else at))
    for stored in bench.recorder.ledger.replay():
        if not found.take(stored, bench.recorder.subject_keys.find):
            break
    return found


def scout(found: Then, action: str = "crm.read", resource: str = "") -> Told:
    (one,) = possible(found.moment(action, origin=AUDIENCE), agents=("scout",), resource=resource)
    return one


async def test_what_policies_and_mandate_allow_is_told_with_what_it_depends_on():
    bench = await Bench().registered()
    await bench.issue()
    one = scout(then(bench))
    assert (one.effect, one.by, one.mandates, one.conditions) == ("allow", ("read",), ("m-1",), ())
    one = scout(then(bench), "crm.refund")
    assert (one.effect, one.by) == ("depends", ("refund",))
    assert any(
        "amount" in told and "only once 1 of group approvers approve" in told for told in one.conditions
    )
    assert any("1000000" in told and "not allowed (refund-never" in told for told in one.conditions)


async def test_it_is_told_of_the_moment_and_not_of_now():
    bench = await Bench().registered()
    before = bench.clock.now()
    bench.clock.advance(10)
    mandate = await bench.issue(seconds=100)
    during = bench.clock.now()
    bench.clock.advance(10)
    await apply_registry(
        *to_apply(bench.walk),
        bench_documents(POLICIES.replace('@id("read") permit', '@id("read") forbid')),
        by="operator",
    )
    changed = bench.clock.now()
    bench.clock.advance(10)
    await close_mandate(bench.recorder, bench.authority, bench.live, MandateId(mandate.id), by="operator")
    assert scout(then(bench, before)).by == ("mandate.none",)
    assert scout(then(bench, during)).effect == "allow"
    assert (scout(then(bench, changed)).effect, scout(then(bench, changed)).by) == ("deny", ("read",))
    assert scout(then(bench)).by == ("mandate.closed",)
    assert scout(then(bench, during + 200_000)).by == ("mandate.closed",)


async def test_bounds_of_mandates_are_conditions_and_other_resources_are_outside():
    bench = await Bench().registered()
    caveats = (ArgumentAtMost(name="amount", maximum=300), ResourceIn(ids=("4711",)))
    await bench.issue(grants=(Grant(capability="crm.refund", caveats=caveats),))
    one = scout(then(bench), "crm.refund", "4711")
    assert "if argument `amount` is at most 300 (mandate)" in one.conditions
    assert scout(then(bench), "crm.refund", "4712").by == ("mandate.caveat",)
    assert any("4711" in told for told in scout(then(bench), "crm.refund").conditions)
    assert scout(then(bench)).by == ("mandate.capability_outside",)


@pytest.mark.requirement("SAME-18")
async def test_every_mandate_under_which_it_could_is_told_with_its_own_conditions():
    bench = await Bench().registered()
    for name, case in (("m-1", "4711"), ("m-2", "4712")):
        bound = ResourceIn(ids=(case,))
        await bench.issue(name, grants=(Grant(capability="crm.read", caveats=(bound,)),))
    one = scout(then(bench))
    assert {way.mandates: way.conditions for way in (one, *one.also)} == {
        ("m-1",): ("on Case 4711 (mandate)",),
        ("m-2",): ("on Case 4712 (mandate)",),
    }
    await bench.issue("m-3")
    one = scout(then(bench))
    assert (one.effect, one.mandates) == ("allow", ("m-3",))
    assert one.also == (), "where one allows it whatever is asked, the others say nothing more"


@pytest.mark.requirement("SAME-18")
async def test_of_a_no_the_mandate_that_still_stands_is_told_before_one_that_has_ended():
    bench = await Bench().registered()
    await bench.issue()
    await close_mandate(bench.recorder, bench.authority, bench.live, MandateId("m-1"), by="operator")
    assert scout(then(bench)).by == ("mandate.closed",)
    await bench.issue("m-2")
    placed = await place_hold(*to_hold(bench.walk), holdable("mandate", "m-2"), by="operator")
    assert scout(then(bench)).by == ("held.mandate", placed.hold.id)


async def test_a_mandate_whose_calls_are_used_up_is_no_leave():
    bench = await Bench().registered()
    await bench.issue(calls_max=1)
    await bench.act()
    assert scout(then(bench)).by == ("mandate.budget_spent",)


async def test_what_the_ledger_does_not_say_is_refused():
    bench = await Bench().registered()
    await bench.issue()
    found = Then(at=bench.clock.now())
    for stored in bench.recorder.ledger.replay():
        found.take(stored, lambda _: None)
    with pytest.raises(Malformed, match="does not contain the whole registry"):
        scout(found)
    missing = Then(at=bench.clock.now())
    for stored in bench.recorder.ledger.replay():
        if stored.tag != Tag.REGISTRY_CHANGE:
            missing.take(stored, bench.recorder.subject_keys.find)
    with pytest.raises(Malformed) as told:
        scout(missing)
    assert told.value.code == "answers.registry_unknown"
    for agent, action in (("nobody", "crm.read"), ("scout", "crm.nothing")):
        with pytest.raises(Malformed) as told:
            possible(then(bench).moment(action, origin=AUDIENCE), agents=(agent,), resource="")
        assert told.value.code == "answers.unknown_name"


@pytest.mark.requirement("ANSWER-07")
async def test_who_can_is_told_of_every_active_agent():
    bench = await Bench().registered()
    await bench.issue()
    found = possible(then(bench).moment("crm.read", origin=AUDIENCE), agents=(), resource="4711")
    assert {one.agent: one.effect for one in found} == {"rover": "deny", "scout": "allow"}


@pytest.mark.parametrize("amount", [1, 5_000, 5_001, 50_001, 1_000_001])
async def test_what_is_told_is_never_more_than_what_is_decided(amount):
    bench = await Bench().registered()
    await bench.issue()
    told = scout(then(bench), "crm.refund")
    with suppress(Exception):
        await bench.refund(amount)
    tags = [stored.tag for stored in bench.recorder.ledger.replay()]
    decided = "allow" if Tag.INTENT in tags else "defer" if Tag.APPROVAL_ASKED in tags else "deny"
    assert told.effect == "depends"
    assert decided == ("allow" if amount <= 5_000 else "defer" if amount <= 1_000_000 else "deny")


async def test_a_revoked_agent_can_nothing_and_revocations_that_are_not_looked_at_are_counted():
    bench = await Bench().registered()
    await bench.issue()
    sealing = sealing_for(bench.recorder, LOG_SUBJECT)
    about = {"sealing": sealing, "by": "0" * 64, "person": "0" * 64, "in_flight": []}
    scouts = signing_key("scout").public.thumbprint
    for kind, name, unfollowed in (
        ("token", "t-1", 1), ("key", scouts, 1), ("agent", "scout", 1), ("mandate", "m-1", 1), ("owner", "alice", 1),
    ):  # fmt: skip
        revocation = Revocation(what=RevocationTarget(kind, name), at=bench.clock.now(), by="x", reason="y")
        entry = revoked(revocation, at=bench.clock.now(), **about)
        await bench.recorder.ledger.submit(entry).durable()
        found = then(bench)
        assert (RevocationTarget(kind, name) in found.revoked, found.unfollowed) == (True, unfollowed)
        nearest = {"token": ("read",), "key": ("revoked.key",), "agent": ("revoked.agent",)}
        assert scout(found).by == nearest.get(kind, ("revoked.mandate",)), kind


async def test_a_document_that_was_taken_out_is_not_in_force_and_a_token_that_is_none_is_counted():
    bench = await Bench().registered()
    documents = [d for d in bench_documents() if isinstance(d, dict) and d["metadata"] != {"name": "rover"}]
    await apply_registry(*to_apply(bench.walk), documents, by="operator", prune=True)
    found = then(bench)
    assert "Agent/rover" not in str(sorted(found.documents))
    told = possible(found.moment("crm.read", origin=AUDIENCE), agents=(), resource="")
    assert [one.agent for one in told] == ["scout"]


async def test_every_bound_of_a_mandate_on_the_single_action_is_a_condition():
    bench = await Bench().registered()
    caveats = (
        ArgumentEquals(name="currency", value="EUR"),
        DestinationIn(type="host", allowed=("crm.example",)),
    )
    await bench.issue(grants=(Grant(capability="crm.refund", caveats=caveats),))
    # A tool of which nobody says where it sends to goes nowhere by such a mandate.
    assert scout(then(bench), "crm.refund").by == ("mandate.caveat",)
    found = then(bench)
    document = found.documents["Capability/crm.refund"]
    assert isinstance(document, dict)
    assert isinstance(document["spec"], dict)
    document["spec"]["destination"] = {"type": "host", "arguments": ["case"]}
    found.registry = snapshot_of([*found.documents.values()]).digest
    told = scout(found, "crm.refund")
    assert told.effect == "depends"
    assert told.conditions[:2] == (
        'if argument `currency` is "EUR" (mandate)',
        "if it goes to crm.example (mandate)",
    )


async def test_a_token_that_is_none_is_counted_as_withheld():
    bench = await Bench().registered()
    await bench.issue()
    found = Then(at=bench.clock.now())
    issued = next(one for one in bench.recorder.ledger.replay() if one.tag == Tag.MANDATE_ISSUED)
    leaf, fields = bench.opened(issued.index)
    del leaf
    found._give({**fields, "token": "nothing"})
    found._give({})
    assert (found.withheld, found.mandates) == (2, {})


TIER_OF_ONE = POLICIES.replace(
    '@id("read") permit (principal, action == Action::"crm.read", resource);',
    '@id("read") permit (principal, action == Action::"crm.read", resource) when { context.capability.tier < 2 };',
)


@pytest.mark.requirement("HINT-06")
@pytest.mark.parametrize(
    ("annotations", "spec", "effect"),
    [
        ({"readOnlyHint": True, "openWorldHint": False}, {}, "allow"),
        ({}, {}, "deny"),
        ({}, {"unhinted": "accepted"}, "allow"),
        ({"openWorldHint": True}, {"unhinted": "accepted"}, "allow"),
        ({"destructiveHint": True}, {"unhinted": "accepted"}, "deny"),
        ({"readOnlyHint": True}, {"kind": "write"}, "deny"),
        ({}, {"tier": 3}, "deny"),
    ],
)
async def test_it_is_told_at_the_tier_that_hints_came_to_and_a_definition_that_is_not_there_is_a_condition(
    annotations, spec, effect
):
    tool = described(annotations=annotations)
    documents = bench_documents(TIER_OF_ONE)
    for one in documents:
        if one["metadata"]["name"] == "crm.read":
            one["spec"] |= spec
    bench = Bench(pins=fresh(SqliteToolPinRegister))
    describing(bench, get_case=tool)
    await bench.registered(documents)
    await bench.issue()
    before = bench.clock.now()
    bench.clock.advance(2)
    await approve_tool(*to_approve(bench.walk), approval(tool, at=1), by="operator")
    assert scout(then(bench)).effect == effect
    unsaid = scout(then(bench, before))
    assert unsaid.effect == ("deny" if spec.get("tier") == 3 else "depends")
    assert any(".tier" in told for told in unsaid.conditions) is (unsaid.effect == "depends")
    try:
        await bench.act()
        acted = "allow"
    except Refused:
        acted = "deny"
    assert acted == effect


@pytest.mark.requirement("HINT-06")
async def test_a_definition_that_a_document_names_is_told_only_where_the_ledger_has_its_text():
    tool = described(annotations={"readOnlyHint": True, "openWorldHint": False})
    bench = Bench(pins=fresh(SqliteToolPinRegister))
    describing(bench, get_case=tool)
    await bench.registered(bench_documents(TIER_OF_ONE))
    await bench.issue()
    pin = await approve_tool(*to_approve(bench.walk), approval(tool), by="operator")
    for digest, effect in ((pin.definition, "allow"), ("0" * 64, "depends")):
        documents = bench_documents(TIER_OF_ONE)
        for one in documents:
            if one["metadata"]["name"] == "crm.read":
                one["spec"]["definition"] = f"sha256:{digest}"
        await bench.registered(documents)
        assert scout(then(bench)).effect == effect


async def test_what_was_held_then_was_not_possible_and_is_told_with_the_hold():
    bench = await Bench().registered()
    await bench.issue()
    for what in (
        holdable("agent", "scout"), holdable("server", "crm"), holdable("capability", "crm.read"), EVERYTHING,
        holdable("environment", "production"), holdable("owner", "alice"),
    ):  # fmt: skip
        bench.clock.advance(1)
        before = bench.clock.now()
        bench.clock.advance(1)
        hold = (await place_hold(*to_hold(bench.walk), what, by="dan")).hold
        during = bench.clock.now()
        assert scout(then(bench, during)).by == (f"held.{what.kind}", hold.id)
        assert scout(then(bench, before)).effect == "allow"
        bench.clock.advance(1)
        await lift(bench, hold, "bob")
        assert scout(then(bench)).effect == "allow"
    mandate = (await place_hold(*to_hold(bench.walk), holdable("mandate", "m-1"), by="dan")).hold
    assert scout(then(bench)).by == ("held.mandate", mandate.id)
    await lift(bench, mandate, "bob")
    await place_hold(*to_hold(bench.walk), EVERYTHING, by="dan", expires_at=bench.clock.now() + 1_000)
    assert scout(then(bench)).effect == "deny"
    bench.clock.advance(2)
    assert scout(then(bench)).effect == "allow"
    await place_hold(*to_hold(bench.walk), holdable("hop", "k" * 43), by="dan")
    found = then(bench)
    assert (scout(found).effect, found.unfollowed) == ("allow", 1)
