"""A policy set for another registry, without compiling it again."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from answerable.adapters.cedar import CedarDecisionPoint, compiled, published
from answerable.core.canonical import parse
from answerable.core.identity.names.principal import AgentId
from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import Bench
from tests.worlds.parts import to_apply
from tests.worlds.policy import CAPABILITIES, REGISTRY, Trial

pytestmark = pytest.mark.requirement("HOUSE-18")
POLICIES = """
@id("group") permit(principal, action in Action::"read", resource is Customer) when { context.arguments.case != "13" };
@id("one") forbid(principal == Agent::"support-agent", action, resource is Batch);
"""
TRIALS = [
    Trial(capability=name, agent=agent, arguments=arguments)
    for agent in REGISTRY.agents
    for name, arguments in (
        ("crm.customer.read", {"case": "4711"}),
        ("payments.batch.submit", {"batch": "b-1", "amount": 700, "rate": "1", "tags": [], "count": 1}),
    )
]


def other(**fields: Any) -> RegistrySnapshot:
    return replace(REGISTRY, digest="1" * 64, **fields)


def without_some(kind: str) -> RegistrySnapshot:
    [(_, gone), *kept] = getattr(REGISTRY, kind).items()
    del gone
    return other(**{kind: MappingProxyType(dict(kept))})


def decided(point: CedarDecisionPoint) -> list[Any]:
    return [point.decide(trial.verified(), trial.facts()) for trial in TRIALS]


def test_other_agents_are_decided_about_as_if_it_had_been_compiled_for_them():
    old = CedarDecisionPoint(published(POLICIES, REGISTRY))
    for snapshot in (REGISTRY, other(), without_some("agents"), other(agents=MappingProxyType({}))):
        found, fresh = old.for_registry(snapshot), compiled(POLICIES, snapshot)
        assert found is not None
        assert (found.policy_set, found.policy_statement) == (fresh.policy_set, fresh.policy_statement)
        assert decided(found) == decided(fresh)
        for agent in REGISTRY.agents:
            for name in CAPABILITIES:
                assert found.may_list(agent, name) == fresh.may_list(agent, name)
    assert {one.effect for one in decided(old)} == {"allow", "deny"}


def test_what_it_was_checked_against_is_compared_whole():
    old = CedarDecisionPoint(published(POLICIES, REGISTRY))
    [(name, one), *_] = REGISTRY.capabilities.items()
    riskier = MappingProxyType({**REGISTRY.capabilities, name: replace(one, tier=3)})
    for snapshot in (
        without_some("capabilities"),
        without_some("policy_sets"),
        other(capabilities=riskier),
        other(idle=MappingProxyType({"x": one})),
    ):
        assert old.for_registry(snapshot) is None


@pytest.mark.anyio
async def test_an_agent_is_suspended_without_compiling_and_a_capability_is_not_changed_without():
    bench = await Bench().registered()
    compiling: list[RegistrySnapshot] = []
    real = bench.walk.policies.compile_policies

    def noting(policies: str, snapshot: RegistrySnapshot) -> Any:
        compiling.append(snapshot)
        return real(policies, snapshot)

    bench.walk.policies.compile_policies = noting
    documents = {key: parse(text) for key, text in bench.authority.registry.documents().items()}
    agent: Any = documents["Agent/scout"]
    await apply_registry(
        *to_apply(bench.walk), [agent | {"spec": agent["spec"] | {"status": "suspended"}}], by="ada"
    )
    assert AgentId("scout") not in bench.authority.registry.current.agents
    assert compiling == []
    name = next(key for key in documents if key.startswith("Capability/"))
    capability: Any = documents[name]
    await apply_registry(
        *to_apply(bench.walk), [capability | {"spec": capability["spec"] | {"tier": 3}}], by="ada"
    )
    assert [one.digest for one in compiling] == [bench.authority.registry.current.digest]
