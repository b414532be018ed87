"""The events that stop rules evaluate: which of them each rule counts, for which owner, and what the rule would hold.

Laws: an event counts for the agent that caused it, for its mandate, and for an instance and the instance it is a
sub-agent of: delegating a task does not extend its limits, and a delegate cannot cause holds on those above it; events
under a hold count for no rule; every rule that fires holds something: without the rule's target, the agent.

A new kind of rule begins with `Watched` in `core/registry/documents/stop_rule`; a rule of these kinds is a document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.containment.hold import HoldTarget
from answerable.core.decision.counter import Event
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.registry.documents.policy_parts import EventMatch, Tracker
from answerable.core.registry.documents.stop_rule import TARGETS
from answerable.errors.declared import beyond_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.stop_rule import Canary, StopRule

HappeningKind = Literal[
    "started",
    "denied",
    "overrun",
    "handed_on",
    "flooded",
    "said_no",
    "turned_away",
    "log_bypass",
    "log_content",
    "log_forged",
    "log_phantom",
]
"""`overrun`: an action used more than was reserved for it. `handed_on`: a hop or a sub-agent was created. `flooded`: a
refusal past the quota of its agent. `said_no`: people denied a request made after their last denial. `turned_away`: a
message of an agent that the endpoint had identified was refused before there was an action. `log_…`: the log of a
target shows it of the agent."""

SHOWN_BY_LOGS: Final[Mapping[str, HappeningKind]] = {
    "bypass": "log_bypass",
    "content": "log_content",
    "forged": "log_forged",
    "phantom": "log_phantom",
}
BUDGET_CODES: Final = frozenset({"mandate.budget_spent"})
DRIFT_CODES: Final = frozenset({"agent.drifted", "manifest.drifted"})
TOOL_CODES: Final = frozenset({"tool.changed"})
OURS: Final = frozenset({"ledger.unwitnessed", "register.no_room", "stop_rule.waiting", "upstream.unknown"})
"""Codes of refusals caused by the state of this server or of one behind it, which the caller cannot change."""
HELD: Final = "held."
"""Prefix of codes of refusals because of a hold."""
NO_KEY: Final = "-"
"""Key where a rule has one count for its owner; for a mandate, followed by the agent that would be held."""
CANARY_SECONDS: Final = 24 * 3600
"""How long a touched canary is remembered, in case of a crash between the touch and the hold."""
TURNED_AWAY_TIMES_MAX: Final = 1_000
"""Maximum counted again from one entry."""
DEPTH_MAX: Final = 64
"""Depth to which arguments are searched for canary values; a gateway accepts no deeper ones."""

_INSTANCE_PARTS: Final = 3
"""`agent/NAME/INSTANCE`; a sub-agent has one more part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRuleSignal:
    """One event that stop rules evaluate. agents: of the chain, the acting one first. instances: its own, and the one
    it is a sub-agent of. actions: pseudonyms of the action in entries. resource, arguments: searched for canaries;
    empty where unreadable. is_aimed: whether the agent was entitled to request this tool, server and capability, or
    they are themselves at fault: a caller without a right to a system cannot stop it for others by calling it. times:
    number of occurrences."""

    kind: HappeningKind
    at: int
    agents: tuple[str, ...]
    mandate: str = ""
    instances: tuple[str, ...] = ()
    server: str = ""
    tool: str = ""
    capability: str = ""
    code: str = ""
    drifted: bool = False
    actions: tuple[str, ...] = ()
    resource: str = ""
    resource_key: str = ""
    arguments: Mapping[str, JSONValue] = field(default_factory=dict)
    is_aimed: bool = True
    times: int = 1


def tracker_of(rule: StopRule) -> Tracker | None:
    """Return the rule's count as a tracker, by owner and key; None for a rule that does not count."""
    if rule.watches in ("tracker", "refusal_flood"):
        return None
    return Tracker(
        name=rule.name,
        over="agent",
        # The rule's name separates its count from others; the limit is left out, so that it may change without a new
        # count.
        matches=(EventMatch(event="started", capabilities=(counted_as(rule),)),),
        within_seconds=CANARY_SECONDS if rule.watches == "canary" else rule.within_seconds,
        same_resource=True,
    )


def counted_as(rule: StopRule) -> str:
    """Return the name of a rule's count: any change of it starts a new count."""
    return f"{rule.watches} {rule.over} {rule.holds if is_apart(rule) else ''} {rule.name}"


def is_apart(rule: StopRule) -> bool:
    """Whether the rule counts separately for each thing that it would hold, which is then held for its own
    events only."""
    return rule.holds not in ("agent", rule.over)


def events_of(rule: StopRule, stop_rule_signal: StopRuleSignal) -> tuple[Event, ...]:
    """Return what a rule counts of a signal, one event for each owner; none for one it does not count."""
    if not counts(rule, stop_rule_signal):
        return ()
    return tuple(
        Event(
            event="started",
            at=stop_rule_signal.at,
            agent=owner,
            mandate="",
            capability=counted_as(rule),
            server="",
            nature=None,
            resource=key,
            arguments=None,
        )
        for owner in owners_of(rule, stop_rule_signal)
        for key in keys_of(rule, stop_rule_signal)
        for _ in range(stop_rule_signal.times)
    )


def counts(rule: StopRule, stop_rule_signal: StopRuleSignal) -> bool:
    """Whether a rule watches this signal."""
    kind, code = stop_rule_signal.kind, stop_rule_signal.code
    # What is held already is no further evidence, except a touched canary.
    if code.startswith(HELD) and rule.watches != "canary":
        return False
    match rule.watches:
        case "budget_overrun":
            return kind == "overrun" or (kind == "denied" and code in BUDGET_CODES)
        case "canary":
            return kind in ("started", "denied") and touches(rule.canary, stop_rule_signal)
        case "denied_rate":
            return kind == "denied" and code not in OURS
        case "outside_scope":
            return kind == "denied" and bool(beyond_of(code))
        case "denied_variation":
            return kind == "said_no"
        case "identical_retry":
            return kind in ("started", "denied") and bool(stop_rule_signal.actions) and code not in OURS
        case "fan_out":
            return kind == "handed_on"
        case "drifted":
            return (kind == "denied" and code in DRIFT_CODES) or (
                kind == "started" and stop_rule_signal.drifted
            )
        case "tool_changed":
            return kind == "denied" and code in TOOL_CODES
        case "refused_at_door":
            return kind == "turned_away"
        case "refusal_flood":
            return kind == "flooded"
        case "log_bypass" | "log_content" | "log_forged" | "log_phantom":
            return kind == rule.watches
        case "tracker":
            return False


def owners_of(rule: StopRule, stop_rule_signal: StopRuleSignal) -> tuple[str, ...]:
    """Return the owners for which the signal counts; empty where there are none."""
    match rule.over:
        case "agent":
            # A delegate must not be able to cause holds on its delegators: what is done for a task, by any agent,
            # counts for its mandate.
            return stop_rule_signal.agents[:1]
        case "instance":
            return stop_rule_signal.instances
        case "mandate":
            return (stop_rule_signal.mandate,) if stop_rule_signal.mandate else ()


def tracked_by(
    rule: StopRule, tracker: Tracker, stop_rule_signal: StopRuleSignal, capability: Capability | None
) -> tuple[str, ...]:
    """Return whose value a rule on this tracker checks. capability: as registered, where it is."""
    if rule.holds in TARGETS and not (capability and any(one.covers(capability) for one in tracker.matches)):
        # A target that the tracker does not cover is not held for its value.
        return ()
    if tracker.over == "agent":
        return stop_rule_signal.agents[:1]
    return (stop_rule_signal.mandate,) if stop_rule_signal.mandate else ()


def keys_of(rule: StopRule, stop_rule_signal: StopRuleSignal) -> tuple[str, ...]:
    """Return the keys that are counted separately for each owner."""
    if rule.watches == "identical_retry":
        return stop_rule_signal.actions
    if rule.watches == "denied_variation":
        # By capability: variations of what people denied.
        return (stop_rule_signal.capability or NO_KEY,)
    if not is_apart(rule):
        return (NO_KEY,)
    target = _target(rule, stop_rule_signal)
    if target is not None:
        return (target.name,)
    return (NO_KEY + stop_rule_signal.agents[0] if rule.over == "mandate" else NO_KEY,)


def holdable_of(rule: StopRule, stop_rule_signal: StopRuleSignal, owner: str) -> HoldTarget:
    """Return the target to hold when this owner exceeds the limit."""
    if rule.holds == rule.over:
        return HoldTarget(rule.holds, owner)
    return _target(rule, stop_rule_signal) or HoldTarget(
        "agent", owner if rule.over == "agent" else stop_rule_signal.agents[0]
    )


def restored(rule: StopRule, owner: str, key: str, *, agent: str, at: int) -> StopRuleSignal | None:
    """Rebuild the signal behind a count that outlived its process; None where the count does not determine what to
    hold: then the owner's next action does. agent: the agent that acts for the owner; empty where unknown."""
    apart = is_apart(rule)
    named = key if apart and not key.startswith(NO_KEY) else ""
    agent = key[len(NO_KEY) :] if key.startswith(NO_KEY) and key != NO_KEY else agent
    if (apart and rule.watches == "identical_retry") or not (agent or named or rule.holds == rule.over):
        return None
    server, _, tool = named.partition("/") if rule.holds in ("tool", "server") else ("", "", "")
    return StopRuleSignal(
        kind="denied",
        at=at,
        agents=(agent,),
        mandate=named if rule.holds == "mandate" else "",
        instances=(named,) if named and rule.holds == "instance" else (),
        server=server,
        tool=tool,
        capability=named if rule.holds == "capability" else "",
    )


def turned_away(agent: str, code: str, *, at: int, times: int = 1) -> StopRuleSignal:
    """Build the signal for messages of an identified agent that an endpoint refused."""
    return StopRuleSignal(
        kind="turned_away", at=at, agents=(agent,), code=code, times=min(times, TURNED_AWAY_TIMES_MAX)
    )


def shown_by_log(
    verdict: str, agent: str, mandate: str, *, at: int, grade: str = ""
) -> StopRuleSignal | None:
    """Build the signal for what a target's log shows of an agent; None where it shows it of none, or where somebody
    else may have written what it is known by."""
    kind = SHOWN_BY_LOGS.get(verdict)
    if kind is None or not agent or (verdict == "content" and grade not in ("A", "B")):
        return None
    return StopRuleSignal(kind=kind, at=at, agents=(agent,), mandate=mandate)


def touches(canary: Canary, stop_rule_signal: StopRuleSignal) -> bool:
    """Whether the action touches a canary, as far as it can be read."""
    if stop_rule_signal.capability in canary.capabilities or stop_rule_signal.resource in canary.resources:
        return True
    if not canary.values or not stop_rule_signal.arguments:
        return False
    return any(value in text for text in _texts(dict(stop_rule_signal.arguments)) for value in canary.values)


def instances_of(instance: str) -> tuple[str, ...]:
    """Return the instance, and for a sub-agent its parents; empty for a text that is no SPIFFE ID."""
    if not instance.startswith(SCHEME):
        return ()
    domain, *parts = instance[len(SCHEME) :].split("/")
    above = range(len(parts) - 1, _INSTANCE_PARTS - 1, -1)
    return (instance, *(f"{SCHEME}{domain}/{'/'.join(parts[:end])}" for end in above))


def _target(rule: StopRule, stop_rule_signal: StopRuleSignal) -> HoldTarget | None:
    match rule.holds:
        case "tool" if stop_rule_signal.tool and stop_rule_signal.is_aimed:
            return HoldTarget("tool", f"{stop_rule_signal.server}/{stop_rule_signal.tool}")
        case "server" if stop_rule_signal.server and stop_rule_signal.is_aimed:
            return HoldTarget("server", stop_rule_signal.server)
        case "capability" if stop_rule_signal.capability and stop_rule_signal.is_aimed:
            return HoldTarget("capability", stop_rule_signal.capability)
        case "instance" if stop_rule_signal.instances:
            return HoldTarget("instance", stop_rule_signal.instances[0])
        case "mandate" if stop_rule_signal.mandate:
            return HoldTarget("mandate", stop_rule_signal.mandate)
    return None


def _texts(value: JSONValue, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth < DEPTH_MAX:
        yield from value
        for one in value.values():
            yield from _texts(one, depth + 1)
    elif isinstance(value, list) and depth < DEPTH_MAX:
        for one in value:
            yield from _texts(one, depth + 1)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
