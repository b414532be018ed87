"""Steps 3 and 4 of the walk with everything on: all facts gathered from real registers, ten trackers among them, and
decided. Shared by the policy benchmark.
"""

from __future__ import annotations

from typing import Any, Final

import anyio
import policy_grid
import policy_rules as rules

from answerable.core.action.request import VerifiedRequest
from answerable.flows.walk.decide_action import decide_action
from answerable.flows.walk.govern_action import gather_facts
from answerable.flows.walk.verify_request import verify_request
from answerable.testing.builders import Bench, bench_documents

TRACKERS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "started", "over": "mandate"},
    {"name": "failed", "over": "mandate", "event": "failed"},
    {"name": "denied", "over": "agent", "within": "1h", "event": "denied"},
    {"name": "reads", "over": "agent", "within": "1h", "kinds": ["read"]},
    {"name": "reads_here", "over": "mandate", "kinds": ["read"], "sameResource": True},
    {"name": "refunds", "over": "agent", "within": "24h", "capabilities": ["crm.refund"]},
    {"name": "refunded", "over": "agent", "within": "24h", "capabilities": ["crm.refund"], "sum": "amount"},
    {"name": "confidential", "over": "agent", "within": "7d", "sensitivities": ["confidential"]},
    {"name": "production", "over": "mandate", "environments": ["production"]},
    {
        "name": "read_then_paid",
        "over": "mandate",
        "steps": [{"event": "succeeded", "kinds": ["read"]}, {"event": "started", "kinds": ["pay"]}],
    },
)
PARTS: Final[dict[str, Any]] = {
    "trackers": [*TRACKERS],
    "windows": [
        {"name": "freeze", "begins": "2030-12-20T18:00:00Z", "ends": "2031-01-02T00:00:00Z"},
        {"name": "weekend", "days": ["sat", "sun"]},
    ],
    "destinations": [{"name": "ours", "type": "host", "members": ["example.com", "*.example.com"]}],
    "risk": [
        {"name": "much", "points": 40, "fact": "argument", "of": "amount", "atLeast": 100_000},
        {"name": "often", "points": 20, "fact": "history", "of": "refunds", "atLeast": 20},
        {"name": "frozen", "points": 50, "fact": "window", "of": "freeze"},
        {"name": "for_good", "points": 10, "fact": "irreversible"},
    ],
}
LOOKING: Final = (
    "".join(
        f"""@id("looks-at-{tracker["name"]}") @reason("too much of it")
forbid(principal, action, resource) when {{ context.history.{tracker["name"]} > 1000000 }};
"""
        for tracker in TRACKERS
    )
    + """@id("too-risky") @reason("a person looks first") @approve("approvers:1")
forbid(principal, action, resource) when { context.risk.score >= 90 || context.windows.freeze };
@id("budget") @reason("the rest is for later") forbid(principal, action, resource)
when { context.budget.calls_left < 1 || context.chain.depth > 3 || context.destination.class == "unknown" };
"""
)
PERMIT: Final = '@id("on-task") @reason("for the task") permit(principal, action, resource);\n'
POLICIES: Final = 100
BEFORE: Final = 200
"""Actions of the mandate before the one that is measured, so that there is a history."""


def rows(seconds: float) -> list[dict[str, Any]]:
    """With nothing declared, and with everything. seconds: for each figure."""
    return [
        {"declared": "nothing", **anyio.run(_measured, "", {}, seconds)},
        {
            "declared": f"{len(TRACKERS)} trackers and all else",
            **anyio.run(_measured, LOOKING, PARTS, seconds),
        },
    ]


async def _measured(looking: str, parts: dict[str, Any], seconds: float) -> dict[str, Any]:
    bench = await _bench(looking, parts)
    verified = _verified(bench)
    _, _, decision = decide_action(
        bench.walk.recorder, bench.walk.planning, bench.walk.deciding, verified, gather_facts
    )
    assert decision.effect == "allow"
    both = policy_grid.timed(
        lambda: decide_action(
            bench.walk.recorder, bench.walk.planning, bench.walk.deciding, verified, gather_facts
        ),
        seconds,
    )
    gathered = policy_grid.timed(
        lambda: gather_facts(bench.walk.recorder, bench.walk.authority, bench.walk.deciding, verified),
        seconds,
    )
    return {"policies": POLICIES, **both, "gather_cpu_us": gathered["cpu_us"]}


async def _bench(looking: str, parts: dict[str, Any]) -> Bench:
    others = rules.policy_text(
        POLICIES - 1 - looking.count("@id"),
        agent="rover",
        capability="crm.read",
        resource_type="Case",
        use_case="support",
    )
    documents = bench_documents(PERMIT + looking + others)
    for one in documents:
        if isinstance(one, dict) and one["kind"] == "PolicySet":
            spec = one["spec"]
            assert isinstance(spec, dict)
            spec |= parts
    bench = await Bench().registered(documents)
    await bench.issue(calls_max=10 * BEFORE)
    for number in range(BEFORE):
        await (bench.refund(100 + number) if number % 4 == 0 else bench.act())
    return bench


def _verified(bench: Bench) -> VerifiedRequest:
    action, caller = bench.request("refund", {"case": "4711", "amount": 100})
    return verify_request(
        bench.walk.planning,
        bench.walk.counters.quota,
        bench.walk.recorder.ledger,
        bench.walk.limits,
        action,
        caller,
    )
