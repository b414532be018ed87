"""Laws of holds: a reach only grows with its selector, and a hold only ever takes away."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.core.containment.hold import (
    EVERYTHING,
    HOLD_KINDS,
    Hold,
    HoldId,
    HoldTarget,
    among,
    first_in_force,
    holdable,
)
from answerable.core.containment.reach import reach_of, server_reach
from answerable.core.decision.facts import HoldFact
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.mandate.revocation import REVOCATION_KINDS, RevocationTarget, instance_names
from answerable.core.registry.documents.documents import Agent, Server
from tests.property.test_decision_laws import policy_sets, text, trials
from tests.worlds.policy import AGENTS, CAPABILITIES, REGISTRY

SERVERS = {
    name: Server(name=name, url="https://example.test", vendor=f"{name}-maker", tenant="south")
    for name in sorted({one.server for one in CAPABILITIES.values()})
}
TENANTED = {name: replace(agent, tenant="north") for name, agent in AGENTS.items()}
WORLD = replace(REGISTRY, agents=TENANTED, servers=SERVERS)


@st.composite
def acting(draw: st.DrawFn) -> tuple[RevocationTarget, ...]:
    """Names that somebody acts under: of an agent, of its instance, and any others."""
    agent = draw(st.sampled_from(sorted(AGENTS)))
    path = "/".join(draw(st.lists(st.sampled_from(["agent", "a", "b", "sub-1"]), min_size=1, max_size=4)))
    others = draw(
        st.lists(
            st.builds(RevocationTarget, st.sampled_from(REVOCATION_KINDS), st.sampled_from(["x", "y"])),
            max_size=4,
        )
    )
    return (RevocationTarget("agent", agent), *instance_names(f"spiffe://example.org/{path}"), *others)


@pytest.mark.requirement("HOLD-10")
@given(names=acting(), capability=st.sampled_from(sorted(CAPABILITIES)), more=acting())
def test_a_reach_only_grows_with_its_selector(names, capability, more):
    used = CAPABILITIES[capability]
    reach = set(reach_of(names, WORLD, capability=used))
    # Everything is wider than anything; acting under more names, or using something as well, only adds to it.
    assert EVERYTHING in reach
    assert reach_of(names, WORLD)[-1] == EVERYTHING
    assert set(reach_of(names, WORLD)) <= reach
    assert reach <= set(reach_of((*names, *more), WORLD, capability=used))
    # What a tool reaches its capability, server, tenant, vendor and environment reach.
    assert HoldTarget("tool", f"{used.server}/{used.target}") in reach
    assert HoldTarget("capability", used.name) in reach
    assert set(server_reach(used.server, WORLD)) <= reach
    assert {HoldTarget("tenant", "south"), HoldTarget("vendor", f"{used.server}-maker")} <= reach
    assert HoldTarget("environment", used.environment) in reach
    for kind, name in names:
        if kind == "agent" and name in TENANTED:
            agent: Agent = TENANTED[AgentId(name)]
            assert {HoldTarget("environment", agent.environment), HoldTarget("tenant", "north")} <= reach
        if kind == "agent" and name.startswith("spiffe:"):
            # And what a sub-agent reaches, each instance above it and its trust domain do.
            assert {one for one in reach if one.kind == "instance"} >= {
                HoldTarget("instance", above) for one, above in instance_names(name) if one == "agent"
            }
            assert HoldTarget("trust_domain", "example.org") in reach


@pytest.mark.requirement("HOLD-10")
@given(own=policy_sets(), trial=trials(), kind=st.sampled_from(HOLD_KINDS))
def test_adding_a_hold_never_allows_anything_and_denies_whatever_the_policies_say(own, trial, kind):
    point = CedarDecisionPoint(published(text(own), REGISTRY))
    verified, facts = trial.verified(), trial.facts()
    held = HoldFact(id="hold_" + "x" * 22, kind=kind, text="it is held")
    decision = point.decide(verified, msgspec.structs.replace(facts, hold=held))
    assert decision.effect == "deny"
    assert decision.determined_by == (f"held.{kind}", held.id)
    assert point.decide(verified, facts) == point.decide(verified, msgspec.structs.replace(facts, hold=None))


HOLDS = st.builds(
    lambda number, at, ends, lifted: Hold(
        id=HoldId(f"hold_{number:022d}"),
        what=holdable("agent", "scout"),
        at=UnixMillis(at),
        by="uid:0",
        expires_at=at + ends if ends else 0,
        lifted_at=at + 1 if lifted else 0,
    ),
    st.integers(0, 30),
    st.integers(1, 100),
    st.integers(0, 100),
    st.booleans(),
)


@pytest.mark.requirement("HOLD-10")
@given(holds=st.lists(HOLDS, max_size=12, unique_by=lambda one: one.id), now=st.integers(0, 250))
def test_a_name_is_held_from_now_on_as_long_as_any_hold_on_it_is_in_force(holds, now):
    standing: tuple[Hold, ...] = ()
    for one in sorted(holds, key=lambda hold: hold.at):
        standing = among(standing, one)
    wanted = any(one.is_in_force(UnixMillis(now)) for one in holds)
    placed_last = max((one.at for one in holds), default=0)
    found = first_in_force(standing, UnixMillis(now))
    if now >= placed_last:
        assert (found is not None) == wanted
    # The one that is asked first decides for all: no other of them is in force where it is not.
    assert standing == () or (found is not None) == standing[0].is_in_force(UnixMillis(now))
