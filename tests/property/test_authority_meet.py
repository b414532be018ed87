"""Effective authority never exceeds any member of the meet: person, ceilings, mandate, login, hops and consents.

Random lineages are walked for real, action by action, over a universe so small that all of it can be listed; what each
member allows is worked out beside by sets, with nothing of the product's own rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.authority import Authority, authority_of, detail_of, limits_of
from answerable.core.mandate.caveat import ArgumentAtMost, ResourceIn
from answerable.core.mandate.constraint import Constraint, Max, MaxSubtree, OneOf
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.hop_signing import HopTerms, issue_hop, issue_root, sign_hop
from answerable.core.mandate.hop_token import Mission, confirmation_of, read_hop
from answerable.core.mandate.mandate import Grant
from answerable.core.mandate.mission import authority_hash
from answerable.errors import Malformed, Refused
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench
from answerable.testing.delegation import ISSUER, SERVICE
from answerable.testing.samples import signing_key
from tests.probes.example_counts import examples
from tests.worlds.delegation_lineage import asked, believing
from tests.worlds.mandate import bench as mail_bench
from tests.worlds.mandate import changed, documents, for_alice, shown
from tests.worlds.parts import to_govern, to_issue

CASES = ("4711", "4712")
AMOUNTS = (1, 5)
NAMES = ("crm.read", "crm.refund")
CALLS_MOST = 4

Action = tuple[str, str, int]
"""Capability, case, amount; a read has none, which is 0."""
UNIVERSE: tuple[Action, ...] = (
    *((NAMES[0], case, 0) for case in CASES),
    *((NAMES[1], case, amount) for case, amount in product(CASES, AMOUNTS)),
)


@dataclass(frozen=True)
class Bound:
    """What one member allows, as a person would list it. cases, amount: None for no bound. calls: in all."""

    names: frozenset[str]
    cases: frozenset[str] | None = None
    amount: int | None = None
    calls: int | None = None

    def allows(self, action: Action) -> bool:
        name, case, amount = action
        return (
            name in self.names
            and (self.cases is None or case in self.cases)
            and (name != NAMES[1] or self.amount is None or amount <= self.amount)
        )

    def constraints(self) -> list[Constraint]:
        """In the words of a hop."""
        found: list[Constraint] = []
        if self.cases is not None:
            found += [OneOf(key=f"resource:{name}", members=tuple(sorted(self.cases))) for name in NAMES]
        if self.amount is not None:
            found.append(Max(key=f"argument:{NAMES[1]}:amount", bound=self.amount))
        if self.calls is not None:
            found.append(MaxSubtree(key="calls", bound=self.calls))
        return found


# More often than not a member leaves things open: else the meet of so many would mostly be empty.
NAME_SETS = st.sampled_from([*[frozenset(NAMES)] * 6, frozenset(NAMES[:1]), frozenset(NAMES[1:])])
BOUNDS = st.builds(
    Bound,
    names=NAME_SETS,
    cases=st.sampled_from([None, None, frozenset(CASES), frozenset(CASES[:1]), frozenset(CASES[1:])]),
    amount=st.sampled_from([None, None, 0, 1, 5]),
    calls=st.sampled_from([None, None, None, 0, 1, 2]),
)


@dataclass(frozen=True)
class DelegationLineage:
    """person, scout, rover: what they may give or reach, None for all of it. steps: the hops below the root; those that
    are `consented` were exchanged for a hop that the giver signed."""

    mandate: Bound
    person: frozenset[str] | None
    scout: frozenset[str] | None
    rover: frozenset[str] | None
    scope: frozenset[str] | None
    details: Bound | None
    steps: tuple[tuple[str, Bound], ...]
    wanted: tuple[Action, ...]

    @property
    def sets(self) -> list[Bound]:
        """Every member of the meet, those that allow anything left out."""
        named = (self.person, self.scout, self.rover if self.steps else None, self.scope)
        found = [self.mandate, *(Bound(names=one) for one in named if one is not None)]
        return [*found, *([self.details] if self.details else []), *(bound for _, bound in self.steps)]


@st.composite
def lineages(draw: st.DrawFn) -> DelegationLineage:
    reach = st.one_of(st.none(), NAME_SETS)
    steps = draw(st.lists(st.tuples(st.sampled_from(["offline", "consented"]), BOUNDS), max_size=2))
    return DelegationLineage(
        mandate=draw(BOUNDS),
        person=draw(reach),
        scout=draw(reach),
        rover=draw(reach),
        scope=draw(reach),
        details=draw(st.one_of(st.none(), BOUNDS)),
        steps=tuple(steps),
        wanted=tuple(draw(st.lists(st.sampled_from(UNIVERSE), min_size=2, max_size=6))),
    )


def registry(delegation_lineage: DelegationLineage) -> list[Any]:
    # That a token acts once at the highest tier is none of this.
    found = changed(documents(), "Capability", NAMES[1], tier=1)
    for kind, name, held in (
        ("Principal", "alice", delegation_lineage.person),
        ("Agent", "scout", delegation_lineage.scout),
        ("Agent", "rover", delegation_lineage.rover),
    ):
        if held is not None:
            found = changed(found, kind, name, capabilities=sorted(held))
    return found


def login(delegation_lineage: DelegationLineage) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    if delegation_lineage.scope is not None:
        claims["scope"] = " ".join(
            ["openid", *(f"answerable:{name}" for name in sorted(delegation_lineage.scope))]
        )
    if delegation_lineage.details is not None:
        made = Authority(
            scopes=tuple(sorted(delegation_lineage.details.names)),
            constraints=tuple(delegation_lineage.details.constraints()),
        )
        claims["authorization_details"] = [detail_of(made)]
    return claims


async def mandated(bench: Bench, delegation_lineage: DelegationLineage) -> Any:
    bound = delegation_lineage.mandate
    caveats: list[Any] = [] if bound.cases is None else [ResourceIn(ids=tuple(sorted(bound.cases)))]
    limit = [] if bound.amount is None else [ArgumentAtMost(name="amount", maximum=bound.amount)]
    granted = tuple(
        Grant(capability=name, caveats=(*caveats, *(limit if name == NAMES[1] else [])))
        for name in sorted(bound.names)
    )
    wanted = replace(
        for_alice("m-1"),
        grants=granted,
        calls_max=bound.calls or CALLS_MOST,
        delegability=Delegability(depth_max=3, width_max=3, to=("use_case:support",)),
    )
    return await issue_mandate(*to_issue(bench.walk), shown(wanted, **login(delegation_lineage)))


def below(parent: Authority, bound: Bound) -> Authority:
    """The bound within a parent, by its own rules for one key, so that a hop can be signed at all."""
    held: dict[tuple[str, str], Any] = {(one.key, one.type): one for one in parent.constraints}
    for one in bound.constraints():
        mine = held.get((one.key, one.type))
        if isinstance(one, OneOf) and isinstance(mine, OneOf):
            one = OneOf(key=one.key, members=tuple(each for each in one.members if each in mine.members))
        elif isinstance(one, Max) and isinstance(mine, Max):
            one = Max(key=one.key, bound=min(one.bound, mine.bound))
        elif isinstance(one, MaxSubtree) and isinstance(mine, MaxSubtree):
            one = MaxSubtree(key=one.key, bound=min(one.bound, mine.bound))
        held[(one.key, one.type)] = one
    scopes = tuple(name for name in parent.scopes if name in bound.names)
    return Authority(scopes=scopes, constraints=tuple(held.values()))


def chain_of(bench: Bench, mandate: Any, delegation_lineage: DelegationLineage) -> tuple[str, ...]:
    """Root for scout, then hops that go to rover; a consented one is issued by the service and names what it is for."""
    mission = Mission(
        id=mandate.id, authority_hash=authority_hash(mandate, audience=bench.recorder.ledger.origin)
    )
    now = bench.clock.now()

    def hop(agent: str, authority: Authority, jti: str, **more: Any) -> HopTerms:
        return HopTerms(
            jti=jti,
            agent=agent,
            confirmation=confirmation_of(signing_key(agent).public),
            audiences=(ISSUER,),
            authority=authority,
            issued_at=now,
            expires_at=UnixMillis(now // 1000 * 1000 + 200_000),
            **more,
        )

    root = hop("scout", authority_of(mandate), "root", depth_limit=4)
    chain = (issue_root(root, issuer=ISSUER, principal="alice", mission=mission, key=SERVICE),)
    for number, (form, bound) in enumerate(delegation_lineage.steps):
        giver = "scout" if number == 0 else "rover"
        part = hop("rover", below(read_hop(chain[-1]).authority, bound), f"hop-{number}")
        signed = sign_hop(chain, part, key=signing_key(giver))
        if form == "consented":
            consent = {
                terms.CONSENT_HASH: read_hop(signed).raw.hash,
                terms.CONSENT_LIMITS: dict(limits_of(part.authority)),
                # Where the service would have written the consent down.
                terms.CONSENT_ENTRY: 0,
                terms.CONSENT_LEAF: "00" * 32,
                terms.CONSENT_LOG: bench.recorder.ledger.origin,
            }
            signed = issue_hop(
                chain,
                replace(part, jti=f"issued-{number}", more={terms.CONSENT: consent}),
                issuer=ISSUER,
                key=SERVICE,
            )
        chain = (*chain, signed)
    return chain


async def done(delegation_lineage: DelegationLineage) -> list[Action] | None:
    """The actions that came to pass; None where the task itself could not be given or handed on."""
    bench = await mail_bench()
    bench.upstream.hints["refund"] = {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}
    await bench.registered(registry(replace(delegation_lineage, person=None)))
    try:
        mandate = await mandated(bench, delegation_lineage)
        believing(bench)
        chain = chain_of(bench, mandate, delegation_lineage)
    except (Malformed, Refused):
        return None
    # A person's own authority is asked at the action, too: here it shrinks after the task was given.
    await bench.registered(registry(delegation_lineage))
    agent, found = ("rover" if delegation_lineage.steps else "scout"), []
    for name, case, amount in delegation_lineage.wanted:
        arguments: dict[str, Any] = {"case": case, **({"amount": amount} if name == NAMES[1] else {})}
        action, caller = bench.request(
            "refund" if amount else "get_case", arguments, agent=agent, mandate=mandate.id
        )
        _, proved = asked(bench, chain, agent=agent)
        action = structs.replace(action, delegation="~".join(chain))
        caller = structs.replace(caller, key=proved.key)
        try:
            answer = await govern_action(*to_govern(bench.walk), action, caller)
        except Refused:
            continue
        assert answer.outcome is not None
        found.append((name, case, amount))
    return found


def expected(delegation_lineage: DelegationLineage) -> list[Action]:
    """The same by sets: an action happens when every member allows it and each has calls left for it."""
    left = [one.calls if one.calls is not None else CALLS_MOST for one in delegation_lineage.sets]
    left[0] = delegation_lineage.mandate.calls or CALLS_MOST
    found = []
    for action in delegation_lineage.wanted:
        if all(one.allows(action) for one in delegation_lineage.sets) and all(left):
            left = [one - 1 for one in left]
            found.append(action)
    return found


@pytest.mark.requirement("MEET-03")
@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lineages())
def test_effective_authority_is_the_meet_and_exceeds_no_member_of_it(
    delegation_lineage: DelegationLineage,
) -> None:
    found = anyio.run(done, delegation_lineage)
    if found is None:
        return
    for member in delegation_lineage.sets:
        assert all(member.allows(action) for action in found), member
        assert member.calls is None or member is delegation_lineage.mandate or len(found) <= member.calls, (
            member
        )
    assert found == expected(delegation_lineage)
