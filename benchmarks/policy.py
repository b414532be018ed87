"""CPU per policy decision, sliced and against the whole set, from 50 policies to 10,000.

Thread CPU clock, best of several rounds: it hardly moves on a busy machine. `policy_text` is for other benchmarks too.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import time
from collections.abc import Callable
from types import MappingProxyType

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.core.action.request import VerifiedRequest, action_request
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.decision.facts import Facts
from answerable.core.identity.caller import VerifiedCaller
from answerable.core.identity.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.mandate import Grant, Mandate, MandateId
from answerable.core.registry.capability import ArgumentMapping, Capability, ResourceMapping
from answerable.core.registry.documents import Agent
from answerable.core.registry.resolve import Resolved
from answerable.core.registry.snapshot import RegistrySnapshot

COUNTS = (50, 1_000, 10_000)
ROUNDS = 9
NOW = UnixMillis(1_800_000_000_000)


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
        _other(number, capability=capability, resource_type=resource_type) for number in range(count - 1)
    ]
    policies.append(
        f"""@id("bench.allowed")
@reason("the {use_case} team may do this for its own cases")
permit(principal == Agent::"{agent}", action == Action::"{capability}", resource is {resource_type})
when {{ context.task.use_case == "{use_case}" && context.capability.tier < 3 }};
"""
    )
    return "\n".join(policies)


def _other(number: int, *, capability: str, resource_type: str) -> str:
    head = f'principal == Agent::"agent-{number:05}", action == Action::"{capability}", resource is {resource_type}'
    if number % 5 == 4:
        return f"""@id("bench.forbid-{number:05}")
@reason("late in its budget this agent asks a person")
@approve("finance:2")
forbid({head})
when {{ context.task.calls_used > {number % 90} && context.capability.environment == "production" }};
"""
    return f"""@id("bench.permit-{number:05}")
@reason("team {number % 97} may do this")
permit({head})
when {{ context.task.use_case == "case-{number % 97}" && context.capability.tier < {number % 4} }};
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


def measured(count: int, verified: VerifiedRequest, facts: Facts, *, whole: bool = True) -> dict[str, float]:
    """One row: publishing once, then a decision by slice and by the whole set."""
    start = time.thread_time()
    policy_set = published(policy_text(count), REGISTRY)
    publish_s = time.thread_time() - start
    sliced = CedarDecisionPoint(policy_set)
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
        "sliced_us": round(cpu_us(lambda: sliced.decide(verified, facts), times=2_000), 2),
        "full_us": round(cpu_us(lambda: full.decide(verified, facts), times=max(3, 20_000 // count)), 2)
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


def main() -> None:
    """Print the table, or with `--json` one object."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = options.parse_args().json
    verified = verified_request("4711")
    facts = facts_now()
    rows = [measured(count, verified, facts) for count in COUNTS]
    few, many = rows[0], rows[-1]
    figures = {
        "policies_10000_over_50": round(many["sliced_us"] / few["sliced_us"], 3),
        "decision_cpu_us_50": few["sliced_us"],
        "decision_cpu_us_10000": many["sliced_us"],
        "full_over_sliced_10000": round(many["full_us"] / many["sliced_us"], 1),
    }
    if as_json:
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        print(json.dumps({"bench": "policy", "machine": machine, "rows": rows, "figures": figures}))
        return
    print("CPU µs per decision; mandate rule, mapping and weighing included\n")
    print(f"{'policies':>9} {'sliced':>9} {'whole set':>11} {'first use':>10} {'publish':>9}")
    for row in rows:
        print(
            f"{row['policies']:>9,.0f} {row['sliced_us']:>7.1f}µs {row['full_us']:>9,.1f}µs"
            f" {row['first_decision_us']:>8.0f}µs {row['publish_s']:>8.2f}s"
        )
    print()
    for name, value in figures.items():
        print(f"{name} = {value}")


if __name__ == "__main__":
    main()
