"""The policies of many teams, one request that they decide, and what that costs: shared by the benchmarks.

Thread CPU clock, best of several rounds: it hardly moves on a busy machine.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.slices import KeptAnswers
from answerable.core.action.request import VerifiedRequest, action_request
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.decision.facts import Facts
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.mandate import Grant, Mandate, MandateId
from answerable.core.registry.documents.capability import ArgumentMapping, Capability, ResourceMapping
from answerable.core.registry.documents.documents import Agent
from answerable.core.registry.snapshot.resolve import Resolved
from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

ROUNDS = 9
TIMES = 2_000
NOW = UnixMillis(1_800_000_000_000)


@dataclass(frozen=True, slots=True)
class Rule:
    """What one of many teams says about its own agent; a forbid may be lifted by an approval."""

    agent: str
    forbids: bool
    calls_over: int
    use_case: str
    tier_under: int


def others(count: int) -> list[Rule]:
    """Rules about other agents than the one that is measured: four permits, then a forbid."""
    return [
        Rule(
            agent=f"agent-{number:05}",
            forbids=number % 5 == 4,
            calls_over=number % 90,
            use_case=f"case-{number % 97}",
            tier_under=number % 4,
        )
        for number in range(count)
    ]


def policy_text(
    count: int,
    *,
    agent: str = "support-agent",
    capability: str = "crm.customer.read",
    resource_type: str = "Customer",
    use_case: str = "support",
) -> str:
    """`count` policies with specific heads; the last one permits `agent` the `capability` for its `use_case`.

    The others name other agents, as the policies of many teams do: four permits, then a forbid that approval may lift.
    """
    policies = [
        _cedar(number, rule, capability=capability, resource_type=resource_type)
        for number, rule in enumerate(others(count - 1))
    ]
    policies.append(
        f"""@id("bench.allowed")
@reason("the {use_case} team may do this for its own cases")
permit(principal == Agent::"{agent}", action == Action::"{capability}", resource is {resource_type})
when {{ context.task.use_case == "{use_case}" && context.capability.tier < 3 }};
"""
    )
    return "\n".join(policies)


def _cedar(number: int, rule: Rule, *, capability: str, resource_type: str) -> str:
    head = (
        f'principal == Agent::"{rule.agent}", action == Action::"{capability}", resource is {resource_type}'
    )
    if rule.forbids:
        return f"""@id("bench.forbid-{number:05}")
@reason("late in its budget this agent asks a person")
@approve("finance:2")
forbid({head})
when {{ context.task.calls_used > {rule.calls_over} && context.capability.environment == "production" }};
"""
    return f"""@id("bench.permit-{number:05}")
@reason("{rule.use_case} may do this")
permit({head})
when {{ context.task.use_case == "{rule.use_case}" && context.capability.tier < {rule.tier_under} }};
"""


CAPABILITY = Capability(
    name="crm.customer.read",
    server="crm",
    method="tools/call",
    target="get_customer",
    kind="read",
    environment="production",
    tier=1,
    sensitivity="confidential",
    resource=ResourceMapping(type="Customer", argument="case_id"),
    arguments=(ArgumentMapping(name="case_id", type="string", required=True),),
)
AGENT = Agent(name=AgentId("support-agent"), use_case="support", environment="production")
REGISTRY = RegistrySnapshot(
    digest="0" * 64,
    agents=MappingProxyType({AGENT.name: AGENT}),
    capabilities=MappingProxyType({CAPABILITY.name: CAPABILITY}),
)


def verified_request(case: str) -> VerifiedRequest:
    """A request of the one agent, under a mandate for exactly this case."""
    mandate = Mandate(
        id=MandateId("m-1"),
        principal=PrincipalId("maria"),
        agent=AGENT.name,
        use_case="support",
        purpose="answer the customer of this case",
        grants=(Grant(capability=CAPABILITY.name, caveats=(ResourceIn(ids=(case,)),)),),
        caveats=(),
        calls_max=1_000,
        not_before=UnixMillis(NOW - 1_000),
        expires_at=UnixMillis(NOW + 1_000_000),
        token="",
    )
    request = action_request(
        server="crm",
        method="tools/call",
        target="get_customer",
        arguments={"case_id": case},
        mandate_id="m-1",
        message_digest=b"\0" * 32,
    )
    caller = VerifiedCaller(
        agent=AGENT.name,
        proof="session_mac",
        binding="bench",
        sequence=1,
        message_digest=b"\0" * 32,
        at=NOW,
    )
    return VerifiedRequest(
        request=request,
        arguments=request.arguments,
        caller=caller,
        resolved=Resolved(capability=CAPABILITY),
        mandate=mandate,
        principals=(mandate.principal,),
        resource_id=case,
        subject="principal:ada",
        definition=ToolDefinition(text=b"{}", digest="", violations=lambda _: ()),
    )


def cpu_us(act: Callable[[], object], *, times: int) -> float:
    """Thread CPU µs of one call: the best round, each of `times` calls."""
    act()
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time_ns()
        for _ in range(times):
            act()
        best = min(best, (time.thread_time_ns() - start) / times / 1_000)
    return best


def measured(
    count: int, verified: VerifiedRequest, facts: Facts, *, whole: bool = True, times: int = TIMES
) -> dict[str, float]:
    """One row: publishing once, then a decision by slice and by the whole set, asked of Cedar each time."""
    start = time.thread_time()
    policy_set = published(policy_text(count), REGISTRY)
    publish_s = time.thread_time() - start
    sliced = CedarDecisionPoint(policy_set, answers=KeptAnswers(most=0))
    full = CedarDecisionPoint(policy_set, slicing=False)
    start = time.thread_time()
    first = sliced.decide(verified, facts)
    slice_us = (time.thread_time() - start) * 1e6
    assert first.effect == "allow"
    assert first == full.decide(verified, facts)
    gc.collect()
    return {
        "policies": count,
        "publish_s": round(publish_s, 3),
        "first_decision_us": round(slice_us, 1),
        "sliced_us": round(cpu_us(lambda: sliced.decide(verified, facts), times=times), 2),
        "full_us": round(cpu_us(lambda: full.decide(verified, facts), times=max(3, 10 * times // count)), 2)
        if whole
        else 0.0,
    }


def decision_costs(*counts: int) -> dict[int, float]:
    """CPU µs per sliced decision, by number of policies."""
    verified, facts = verified_request("4711"), facts_now()
    return {count: measured(count, verified, facts, whole=False)["sliced_us"] for count in counts}


def facts_now() -> Facts:
    """Facts of an open mandate early in its budget."""
    return Facts(
        at=NOW,
        registry_digest=REGISTRY.digest,
        mandate_state="open",
        mandate_calls_used=3,
        approval=None,
    )
