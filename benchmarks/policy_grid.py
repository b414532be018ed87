"""Decisions by the number of policies and of registered agents, beside bare cedarpy: shared by the policy benchmark.

`one agent` asks again and again, as an agent at work does. `all agents` is the worst of mixes: each decision is that of
another of all registered agents, so that with more agents than slices are kept every decision makes one first.
"""

from __future__ import annotations

import gc
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle
from types import MappingProxyType
from typing import Any, Final

import cedarpy
import msgspec
import policy_rules as rules

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.schema import entities_of
from answerable.core.action.request import VerifiedRequest
from answerable.core.decision.policy_context import moving_context, shared_context
from answerable.core.identity.names.principal import AgentId
from answerable.core.registry.documents.documents import Agent
from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

CASE: Final = "4711"
DRAWN_MAX: Final = 8_000
"""Agents drawn for `all agents`, about twice the slices that are kept."""
AGENTS_PER_USE_CASE: Final = 10
TIMED: Final = 3_000
"""Decisions timed one by one for the percentiles, where one takes microseconds."""
BUDGET_SECONDS: Final = 1.0
"""About what one figure may take."""

Row = dict[str, Any]
Act = Callable[[], object]


def registered(count: int) -> RegistrySnapshot:
    """So many agents: those that the policies name come first, the one that is measured among them."""
    names = [rules.AGENT.name, *(AgentId(f"agent-{number:05}") for number in range(count - 1))]
    agents = {
        name: Agent(
            name=name,
            use_case="support" if not number else f"case-{number // AGENTS_PER_USE_CASE}",
            environment="production",
        )
        for number, name in enumerate(names)
    }
    return replace(rules.REGISTRY, agents=MappingProxyType(agents))


def rows(policies: Sequence[int], entities: Sequence[int], seconds: float) -> list[Row]:
    """Both mixes and bare cedarpy in every cell. seconds: about what a figure may take."""
    found = []
    snapshots = {count: registered(count) for count in entities}
    for count in policies:
        text = rules.policy_text(count)
        policy_set = published(text, rules.REGISTRY)
        handle = cedarpy.PolicySet.from_str(text)
        for size, snapshot in snapshots.items():
            point = CedarDecisionPoint(replace(policy_set, registry=snapshot))
            gc.collect()
            cell = {"policies": count, "entities": size}
            found += [
                {"engine": "answerable, one agent", **cell, **timed(_one(point), seconds)},
                {"engine": "answerable, all agents", **cell, **timed(_all(point, snapshot), seconds)},
                {"engine": "cedarpy", **cell, **timed(_bare(handle, snapshot), seconds)},
            ]
    return found


def _one(point: CedarDecisionPoint) -> Act:
    verified, facts = rules.verified_request(CASE), rules.facts_now()
    assert point.decide(verified, facts).effect == "allow"
    return partial(point.decide, verified, facts)


def _all(point: CedarDecisionPoint, snapshot: RegistrySnapshot) -> Act:
    chance, facts = random.Random(1), rules.facts_now()
    names = chance.sample(list(snapshot.agents), min(DRAWN_MAX, len(snapshot.agents)))
    drawn = [_asked_by(name) for name in names]
    for verified in drawn:
        point.decide(verified, facts)
    turn = cycle(drawn)
    return lambda: point.decide(next(turn), facts)


def _asked_by(name: AgentId) -> VerifiedRequest:
    verified = rules.verified_request(CASE)
    return msgspec.structs.replace(verified, caller=msgspec.structs.replace(verified.caller, agent=name))


def _bare(handle: cedarpy.PolicySet, snapshot: RegistrySnapshot) -> Act:
    """What somebody gets who asks cedarpy by itself, in its fastest public form: everything parsed beforehand."""
    own = {json.dumps(one["uid"]): one for agent in snapshot.agents.values() for one in _entities(agent)}
    entities = cedarpy.Entities.from_json_str(json.dumps(list(own.values())))
    request = cedar_request()
    answer = cedarpy.is_authorized(request, handle, entities)
    assert answer.decision == cedarpy.Decision.Allow
    return lambda: cedarpy.is_authorized(request, handle, entities)


def _entities(agent: Agent) -> list[Any]:
    return list(entities_of(agent, rules.CAPABILITY))


def cedar_request() -> dict[str, Any]:
    """The measured request with its whole context, as any policy engine may be asked it."""
    verified, facts = rules.verified_request(CASE), rules.facts_now()
    capability = rules.CAPABILITY
    shared = shared_context(verified, rules.AGENT, rules.REGISTRY.parts)
    return {
        "principal": f'Agent::"{rules.AGENT.name}"',
        "action": f'Action::"{capability.name}"',
        "resource": f'{capability.resource.type}::"{CASE}"',
        "context": shared
        | moving_context(shared, verified, facts, arguments={"case_id": CASE}, parts=rules.REGISTRY.parts),
    }


def plain_request() -> dict[str, str]:
    """Who, what and on what, for engines that know no entities."""
    capability = rules.CAPABILITY
    return {
        "principal": rules.AGENT.name,
        "action": capability.name,
        "resource_type": capability.resource.type,
        "resource": CASE,
    }


def timed(act: Act, seconds: float = BUDGET_SECONDS) -> Row:
    """Thread CPU µs of one, the best of some rounds; and what single ones took on the wall clock."""
    once = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        act()
        once = min(once, max(time.perf_counter() - start, 1e-6))
    times = max(1, min(TIMED, int(seconds / once / rules.ROUNDS)))
    cpu = rules.cpu_us(act, times=times)
    took = []
    for _ in range(max(5, min(TIMED, int(seconds / once)))):
        before = time.perf_counter_ns()
        act()
        took.append((time.perf_counter_ns() - before) / 1_000)
    took.sort()
    return {
        "cpu_us": round(cpu, 2),
        "p50_us": round(took[len(took) // 2], 1),
        "p99_us": round(took[int(len(took) * 0.99)], 1),
        "timed": len(took),
    }
