"""A change drops the plans that it may concern and no other: a hold on one agent costs other agents a comparison."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from msgspec import structs

from answerable.adapters.sqlite import SqliteToolPinRegister
from answerable.core.containment.hold import HOLD_KINDS, Hold, HoldId, HoldTarget, holdable
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.errors import AnswerableError, Refused
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.state.worlds import PLANS_MAX, Plans
from answerable.flows.walk import last_look
from answerable.flows.walk.find_plan import find_plan
from answerable.flows.walk.pin_tools import approve_tool
from answerable.ports.worlds import ANYTHING, ChangeScope, Plan
from answerable.testing.builders import Bench
from tests.attack.test_last_look import BY_NAME, acted_while
from tests.worlds.authority_source import Sourced, sourced
from tests.worlds.delegation_lineage import asked, believing, chain_of, mandated
from tests.worlds.parts import to_approve, to_hold, to_plan
from tests.worlds.tool import approval, described, describing

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOUSE-63")]

SURVIVORS = {
    ANYTHING: set(), "everything/": set(), "agent/scout": {"rover"}, "mandate/m-1": {"rover"},
    "tool/crm/get_case": {"rover"}, "instance/": {"rover"}, "agent/rover": {"scout"}, "key/": {"scout", "rover"},
}  # fmt: skip
"""Whose plan outlives a change of this scope: scout's to read under m-1, or rover's to refund under m-9."""


def found(of: Sourced, ask):
    """The plan, or nothing where there is none any more."""
    try:
        return find_plan(*to_plan(of.walk), *ask())
    except AnswerableError:
        return None


@pytest.mark.parametrize("name", BY_NAME)
async def test_a_change_costs_those_their_plans_whom_it_may_concern_and_nobody_else(name: str):
    source = BY_NAME[name]
    of = await sourced(replace(source, before=None))
    await of.bench.issue("m-9", agent="rover")
    if source.before is not None:
        await source.before(of)
    refund = partial(of.bench.request, "refund", {"case": "4711", "amount": 10}, mandate="m-9", agent="rover")
    of.amount = 0
    asks = {"scout": of.asked, "rover": refund}
    before = {who: found(of, ask) for who, ask in asks.items()}
    await source.change(of)
    of.walk.verification.worlds.epoch()
    hit = of.walk.verification.worlds.changed(before["scout"].epoch)
    after = {who: found(of, ask) for who, ask in asks.items()}
    for who in asks:
        survives = who in SURVIVORS[source.scope]
        assert before[who].outlives(hit) is survives, who
        # What is made anew is another object, or nothing.
        assert (after[who] is not None and after[who].judged is before[who].judged) is survives, who
        assert not survives or after[who].epoch == of.walk.verification.worlds.epoch()


async def test_what_others_did_is_not_decided_again_before_the_start(monkeypatch: pytest.MonkeyPatch):
    again: list[object] = []
    decided = last_look._otherwise

    def noted(*given):
        again.append(given)
        return decided(*given)

    monkeypatch.setattr(last_look, "_otherwise", noted)
    of = await sourced(BY_NAME["an agent is held"])
    # The first action on a tool is decided again, for what it saw of the tool was noted after its plan.
    again.clear()
    answer = await acted_while(
        of, lambda: place_hold(*to_hold(of.walk), holdable("agent", "rover"), by="uid:0")
    )
    assert (answer.outcome.status, again) == ("succeeded", [])
    answer = await acted_while(of, lambda: place_hold(*to_hold(of.walk), holdable("tenant", "x"), by="uid:0"))
    assert (answer.outcome.status, again) == ("succeeded", [])
    # Who approved acts under names that the plan does not have.
    of = await sourced(BY_NAME["who approved is revoked"])
    again.clear()
    answer = await acted_while(
        of, lambda: place_hold(*to_hold(of.walk), holdable("agent", "rover"), by="uid:0")
    )
    assert (answer.outcome.status, len(again)) == ("succeeded", 1)


class Delegated:
    """Rover reads under a chain from scout, with a tool that bob approved."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.walk = self.bench.walk
        self.number = 0

    async def opened(self) -> Delegated:
        self.walk.verification.pins = SqliteToolPinRegister(self.bench.store)
        describing(self.bench, get_case=described())
        await self.bench.registered()
        await approve_tool(*to_approve(self.walk), approval(described(), by="bob"), by="operator")
        believing(self.bench)
        self.chain = chain_of(self.bench, await mandated(self.bench, identity="m-4"))
        return self

    def plan(self):
        return find_plan(*to_plan(self.walk), *asked(self.bench, self.chain))

    def told(self) -> object:
        """What verification says of the names that the action acts under."""
        try:
            plan = self.plan()
        except Refused as no:
            return no.code
        return plan.judged, plan.by_clock

    def anew(self) -> object:
        """The same, with nothing kept."""
        self.walk.verification.plans = Plans(0)
        return self.told()

    def change(self, scope: str) -> Hold | None:
        """Something under this name is held; or revoked, where it cannot be held."""
        kind, _, name = scope.partition("/")
        if kind not in HOLD_KINDS:
            what = RevocationTarget(kind, name)
            self.walk.authority.revocations.add(Revocation(what=what, at=UnixMillis(0), by="uid:0"))
            return None
        self.number += 1
        at = UnixMillis(self.bench.clock.now())
        hold = Hold(id=HoldId(f"hold_{self.number:022d}"), what=HoldTarget(kind, name), at=at, by="uid:0")
        assert self.walk.authority.tripped.trip(hold)
        return hold

    def undo(self, hold: Hold | None) -> None:
        if hold is not None:
            self.walk.authority.tripped.placed(hold)


async def test_no_scope_of_a_plan_can_be_left_out():
    of = await Delegated().opened()
    scopes = sorted(of.plan().scopes)
    kinds = {one.partition("/")[0] for one in scopes}
    assert kinds == {
        "agent", "capability", "environment", "everything", "hop", "key", "mandate", "owner", "server", "token", "tool",
    }  # fmt: skip
    assert "key/" + approval_key(of) in scopes
    for scope in scopes:
        for left_out in (True, False):
            if scope.startswith("token/"):
                # A revocation stays.
                of = await Delegated().opened()
            of.walk.verification.plans = plans = Plans()
            of.plan()
            if left_out:
                for key, plan in plans._kept.items():
                    plans._kept[key] = structs.replace(plan, scopes=plan.scopes - {scope})
            hold = of.change(scope)
            assert (of.told() == of.anew()) is not left_out, scope
            of.undo(hold)


def approval_key(of: Delegated) -> str:
    return of.walk.verification.pins.current("crm", "get_case").key


def test_plans_that_no_change_hits_are_bounded_and_those_of_older_documents_are_dropped():
    plans, changes = Plans(2), {1: frozenset({ChangeScope("agent/x")}), 2: None, 3: frozenset()}
    plan = kept_plan(epoch=0, scopes=frozenset({ChangeScope("agent/scout")}))
    for key in "abc":
        plans.keep(key, plan)
    assert [str(one) for one in plans._kept] == ["c"]
    assert plans.find("c", 0, changes.get) is plan
    carried = plans.find("c", 2, lambda since: changes[1])
    assert (carried, plans.find("c", 2, changes.get)) == (structs.replace(plan, epoch=2), carried)
    # Documents: whatever was kept goes, whoever asks.
    assert plans.find("a", 3, changes.get) is None
    assert plans._kept == {}
    assert PLANS_MAX == 10_000


def kept_plan(**given: object):
    fields = dict.fromkeys(
        (
            "identity", "capability", "resolved", "delegation_lineage", "definition", "principals", "session",
            "judged", "accounts", "prepares", "subject", "by_clock",
        )
    )  # fmt: skip
    return Plan(**fields, **given)
