"""A policy set that looks at everything there is: ten trackers, named times, destinations, risk, and an obligation.

Shared by the benchmarks of decisions and of the walk: it is what an action costs when nothing is left out.
"""

from __future__ import annotations

from answerable.core.canonical import JSONValue

TRACKERS = 10
OVER_AGENT = 5


def declared(capability: str) -> dict[str, JSONValue]:
    """The lists of a PolicySet document beside its policies. Half of the trackers count by agent, half by mandate."""
    trackers: list[JSONValue] = [
        {
            "name": f"seen_{number}",
            "over": "agent" if number < OVER_AGENT else "mandate",
            "within": f"{number + 1}h",
            "event": "started" if number % 2 else "succeeded",
            "capabilities": [capability],
            **({"sameResource": True} if number in (1, 6) else {}),
        }
        for number in range(TRACKERS - 1)
    ]
    first: dict[str, JSONValue] = {"event": "started", "kinds": ["read"]}
    trackers.append(
        {
            "name": "in_turn",
            "over": "mandate",
            "within": "1h",
            "steps": [first, {**first, "event": "succeeded"}],
        }
    )
    return {
        "trackers": trackers,
        "windows": [
            {"name": "freeze", "begins": "2099-12-20T00:00:00Z", "ends": "2100-01-03T00:00:00Z"},
            {"name": "weekend", "days": ["sat", "sun"]},
            {"name": "night", "startsAt": "22:00", "stopsAt": "06:00"},
        ],
        "destinations": [
            {"name": "own", "type": "host", "members": ["*.example.com", "example.com"]},
            {"name": "partner", "type": "email", "members": ["partner.example"]},
        ],
        "risk": [
            {"name": "often", "points": 30, "fact": "history", "of": "seen_0", "atLeast": 1_000_000_000},
            {"name": "frozen", "points": 40, "fact": "window", "of": "freeze"},
            {
                "name": "sensitive",
                "points": 20,
                "fact": "sensitivity",
                "oneOf": ["confidential", "restricted"],
            },
            {"name": "for_good", "points": 10, "fact": "irreversible"},
            {"name": "drifted", "points": 50, "fact": "drifted"},
            {"name": "far", "points": 10, "fact": "hops", "atLeast": 2},
            {"name": "late", "points": 10, "fact": "budget_left_percent", "atMost": 10},
        ],
    }


def policies(capability: str) -> str:
    """Forbids that look at all of it and do not hold, and one that an obligation lifts at every action."""
    history = " || ".join(f"context.history.seen_{number} > 1000000000" for number in range(TRACKERS - 1))
    return f"""
@id("all.history")
forbid(principal, action == Action::"{capability}", resource)
when {{ {history} || context.history.in_turn > 2 }};
@id("all.facts")
forbid(principal, action == Action::"{capability}", resource)
when {{
  context.windows.freeze || context.risk.score > 90 || context.budget.left_percent < 1
  || context.destination.class == "unknown" || context.chain.depth > 3 || context.agent.drifted
}};
@id("all.people")
@approve("leads:1")
forbid(principal, action == Action::"{capability}", resource)
when {{ context.risk.factors.contains("often") }};
@id("all.masked")
@oblige("mask:/email?")
forbid(principal, action == Action::"{capability}", resource);
"""
