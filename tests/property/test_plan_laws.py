"""A plan that was kept says what one says that is made anew, after any history of what people and processes do."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from functools import partial
from weakref import WeakKeyDictionary

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.containment.hold import EVERYTHING, Hold, HoldId, HoldTarget, holdable
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.revocation import REVOCATION_KINDS, Revocation, RevocationTarget, revocable
from answerable.core.mandate.token_life import ActingLimits
from answerable.core.registry.manifests.tools_seen import ToolsSeen
from answerable.core.registry.tools.tool_fit import ToolFits
from answerable.errors import AnswerableError
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.state.worlds import Plans
from answerable.flows.walk.find_plan import find_plan
from answerable.flows.walk.govern_action import facts_under, govern_action
from answerable.flows.walk.plan import _scopes
from answerable.flows.walk.verify_request import verify
from answerable.testing.builders import POLICIES, Bench
from answerable.testing.samples import signing_key
from tests.worlds.authority_source import (
    CLOSED,
    LIMITS,
    Sourced,
    be_late,
    close_elsewhere,
    documents,
    flood,
    put_manifest,
    redefine,
    repin,
    revoke_manifest,
    trip,
    watch,
)
from tests.worlds.delegation_lineage import asked, believing, chain_of, mandated
from tests.worlds.parts import to_apply, to_govern, to_hold, to_plan

ASKED = [
    (agent, mandate, target, arguments)
    for agent, mandate in (("scout", "m-1"), ("scout", "m-2"), ("rover", "m-3"), ("rover", "m-1"))
    for target, arguments in (("get_case", {"case": "4711"}), ("refund", {"case": "4711", "amount": 10}))
]


CHAINS: WeakKeyDictionary[Bench, tuple[tuple[tuple[str, ...], str], ...]] = WeakKeyDictionary()
"""And who names them."""


async def applied(of: Sourced, found: list[object]) -> None:
    await apply_registry(*to_apply(of.walk), found, by="operator", prune=True)


async def held(of: Sourced, kind: str, name: str, seconds: int) -> None:
    what = holdable(kind, name) if name else EVERYTHING
    until = of.bench.clock.now() + seconds * 1000
    await place_hold(*to_hold(of.walk), what, by="uid:0", expires_at=until)


async def later(of: Sourced, seconds: float) -> None:
    of.bench.clock.advance(seconds)


async def in_time(of: Sourced) -> None:
    of.kept.clear()


async def acted(of: Sourced) -> None:
    await govern_action(*to_govern(of.walk), *of.bench.request("refund", {"case": "4711", "amount": 10}))


async def tripped(of: Sourced, what: HoldTarget) -> None:
    """For a minute, here alone at first: what is said of it is its own name."""
    now = of.bench.clock.now()
    number = len(of.walk.authority.tripped.tripped)
    hold = Hold(
        id=HoldId(f"hold_{now + number:022d}"), what=what, at=now, by="uid:0", expires_at=now + 60_000
    )
    of.walk.authority.tripped.trip(hold)


async def revoked(of: Sourced, what: RevocationTarget) -> None:
    of.walk.authority.revocations.add(Revocation(what=what, at=UnixMillis(of.bench.clock.now()), by="uid:0"))


NAMES = (
    *(("agent", one) for one in ("scout", "rover", "nobody")),
    *(("mandate", one) for one in ("m-1", "m-2", "m-4")),
    *(("tool", one) for one in ("crm/get_case", "crm/refund")),
    *(("capability", one) for one in ("crm.read", "crm.refund")),
    *(("owner", one) for one in ("alice", "bob", "carol")),
    *(("key", signing_key(one).public.thumbprint) for one in ("alice", "bob", "scout", "rover")),
    ("server", "crm"), ("environment", "production"), ("tenant", "none"), ("everything", ""),
)  # fmt: skip
REVOCABLE = (
    *(one for one in NAMES if one[0] in REVOCATION_KINDS), ("token", "hop-scout"), ("token", "hop-rover"),
)  # fmt: skip
"""What an action may act under, and what none does."""

STEPS = {
    "act": acted,
    "apply the same": lambda of: applied(of, documents()),
    "forbid": lambda of: applied(of, documents(POLICIES + CLOSED)),
    "suspend": lambda of: applied(of, documents(status="suspended")),
    "do less": lambda of: applied(of, documents(capabilities=["crm.refund"])),
    "refuse drift": lambda of: applied(of, documents(drift="refuse")),
    "hold the agent": partial(held, kind="agent", name="scout", seconds=60),
    "hold the other": partial(held, kind="agent", name="rover", seconds=60),
    "hold a tool": partial(held, kind="tool", name="crm/refund", seconds=20),
    "hold a mandate": partial(held, kind="mandate", name="m-2", seconds=20),
    "revoke a hop": lambda of: revoke_authority(
        of.walk.recorder,
        of.walk.authority,
        of.walk.live,
        revocable("hop", "hop-rover"),
        by="uid:0",
        reason="",
    ),
    "hold everything": partial(held, kind="everything", name="", seconds=20),
    "trip": trip,
    "revoke a mandate": lambda of: revoke_authority(
        of.walk.recorder, of.walk.authority, of.walk.live, revocable("mandate", "m-3"), by="uid:0", reason=""
    ),
    "revoke the agent": lambda of: revoke_authority(
        of.walk.recorder, of.walk.authority, of.walk.live, revocable("agent", "scout"), by="uid:0", reason=""
    ),
    "close": lambda of: close_mandate(
        of.walk.recorder, of.walk.authority, of.walk.live, "m-2", by="operator"
    ),
    "close elsewhere": close_elsewhere,
    "describe otherwise": redefine,
    "repin": repin,
    "a manifest": put_manifest,
    "revoke a manifest": revoke_manifest,
    "flood": flood,
    "witnesses are late": be_late,
    "witnesses are in time": in_time,
    "a moment later": partial(later, seconds=7.0),
    "a minute later": partial(later, seconds=61.0),
    "hours later": partial(later, seconds=4_000.0),
    **{f"hold {kind}/{name}": partial(tripped, what=HoldTarget(kind, name)) for kind, name in NAMES},
    **{
        f"revoke {kind}/{name}": partial(revoked, what=RevocationTarget(kind, name))
        for kind, name in REVOCABLE
    },
}


def told(of: Sourced, plans: Plans) -> list[object]:
    """What verification, facts and decision say of everything that could be asked, with what is kept in these plans."""
    kept, of.walk.verification.plans = of.walk.verification.plans, plans
    try:
        return [_told(of, partial(in_person, of.bench, *one)) for one in ASKED] + [
            _told(of, partial(asked, of.bench, chain, agent=agent)) for chain, agent in CHAINS[of.bench]
        ]
    finally:
        of.walk.verification.plans = kept


def in_person(bench: Bench, agent: str, mandate: str, target: str, arguments: dict[str, object]):
    return bench.request(target, arguments, mandate=mandate, agent=agent)


def _told(of: Sourced, ask) -> object:
    walk = of.walk
    try:
        request, caller = ask()
        plan = find_plan(*to_plan(walk), request, caller)
        verified = verify(walk.planning, walk.limits, plan, request, caller)
        facts = facts_under(
            plan.judged, plan.accounts, walk.recorder, walk.authority, walk.deciding, verified
        )
        decision = walk.policies.decision_point.decide(verified, facts)
    except AnswerableError as fault:
        return type(fault), getattr(fault, "code", ""), fault.message
    told_of_plan = (plan.epoch, plan.identity, plan.capability, plan.resolved, plan.delegation_lineage)
    seen = (plan.principals, plan.session, plan.judged, plan.accounts, plan.definition.digest, plan.by_clock)
    return told_of_plan, seen, verified.caller.identity, facts, decision


async def lived(history: list[str]) -> None:
    of = Sourced(await Bench(limits=LIMITS).registered(documents()))
    await watch(of)
    for name, agent in (("m-1", "scout"), ("m-2", "scout"), ("m-3", "rover")):
        await of.bench.issue(name, agent=agent)
    believing(of.bench)
    # A chain of two, at hand to its holder and to somebody else, which acts for less time than some steps take.
    of.walk.verification.acting = ActingLimits(seconds=(20, 20, 20, 20))
    chain = chain_of(of.bench, await mandated(of.bench, identity="m-4"))
    CHAINS[of.bench] = ((chain, "rover"), (chain, "scout"))
    await acted(of)
    said = told(of, of.walk.verification.plans)
    assert [type(one[0]) is tuple for one in said] == [True] * 6 + [False] * 2 + [True, False], said
    for step in history:
        with suppress(AnswerableError):
            await STEPS[step](of)
        kept = told(of, of.walk.verification.plans)
        # Nothing of what was found out before, wherever it is kept.
        of.walk.authority.judged_in = of.walk.authority.standing_of = None
        of.walk.verification.fits, of.walk.verification.tools_seen, of.walk.verification.worlds._world = (
            ToolFits(),
            ToolsSeen(),
            None,
        )
        assert kept == told(of, Plans(0)), step


@pytest.mark.requirement("HOUSE-15")
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=10))
def test_a_kept_plan_equals_one_made_anew(history: list[str]):
    asyncio.run(lived(history))


LEFT_OUT = {
    "agent": ("hold agent/rover", "a manifest"),
    "mandate": ("hold mandate/m-2", "revoke mandate/m-4"),
    "tool": ("hold tool/crm/refund", "repin"),
    "capability": ("hold capability/crm.read",),
    "key": (f"revoke key/{signing_key('alice').public.thumbprint}",),
    "owner": ("hold owner/alice",),
    "token": ("revoke token/hop-rover",),
    "server": ("hold server/crm",),
    "environment": ("hold environment/production",),
    "everything": ("hold everything/",),
}
"""Kinds of scopes, and changes that no plan is told of without them."""


@pytest.mark.requirement("HOUSE-63")
@pytest.mark.parametrize(("kind", "step"), [(kind, one) for kind, steps in LEFT_OUT.items() for one in steps])
def test_a_plan_without_scopes_of_one_kind_is_found_out(
    monkeypatch: pytest.MonkeyPatch, kind: str, step: str
):
    monkeypatch.setattr(
        "answerable.flows.walk.plan._scopes",
        lambda *of: frozenset(one for one in _scopes(*of) if not one.startswith(f"{kind}/")),
    )
    with pytest.raises(AssertionError, match=re.escape(step)):
        asyncio.run(lived([step]))
    monkeypatch.undo()
    asyncio.run(lived([step]))
