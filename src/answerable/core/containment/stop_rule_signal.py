"""What stop rules look at, and what of it each rule counts, by whom, and what it would hold for it.

Laws: what happens is counted for the agent that did it, for the task that it is under, and for an instance and the one
that it is a sub-agent of: nobody gets more for a task by handing on, and whoever was handed a part makes nobody above
it stand still; what is under a hold counts for no rule; something stands still for every rule that fires: where there
is no such target, the agent does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.containment.hold import HoldTarget
from answerable.core.decision.counter import Event
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.registry.documents.policy_parts import EventMatch, Tracker
from answerable.core.registry.documents.stop_rule import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.stop_rule import Canary, StopRule

HappeningKind = Literal["started", "denied", "overrun", "handed_on", "flooded", "said_no", "turned_away"]
"""`overrun`: an action took more than was reserved for it. `handed_on`: a hop or a sub-agent came to be. `flooded`: a
refusal past the quota of its agent. `said_no`: people said no to what was asked after they last had. `turned_away`: a
message of an agent that a door knew was refused before there was an action."""

BUDGET_CODES: Final = frozenset({"mandate.budget_spent"})
DRIFT_CODES: Final = frozenset({"agent.drifted", "manifest.drifted"})
TOOL_CODES: Final = frozenset({"tool.changed"})
OURS: Final = frozenset({"ledger.unwitnessed", "register.no_room", "stop_rule.waiting", "upstream.unknown"})
"""Refused for what is the matter with this server or with one behind it: whoever asks could do nothing about it."""
HELD: Final = "held."
"""What codes of refusals begin with where something stands still."""
NO_KEY: Final = "-"
"""Where a rule counts one number for its owner; of a mandate, with the agent behind it that would be held for it."""
CANARY_SECONDS: Final = 24 * 3600
"""How long a touched canary is known, should a crash come between the touch and the hold."""
TURNED_AWAY_TIMES_MAX: Final = 1_000
"""Of one entry, as far as they are counted again from it."""
DEPTH_MAX: Final = 64
"""Of arguments that are searched for the values of canaries; what is deeper is none that a gateway takes in."""

_INSTANCE_PARTS: Final = 3
"""`agent/NAME/INSTANCE`; a sub-agent has one more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRuleSignal:
    """agents: of the chain, the acting one first. instances: its own, and the one it is a sub-agent of. actions: what
    stands for the action in entries. resource, arguments: what canaries are looked for in; empty where nobody can read
    them. is_aimed: whether its tool, server and capability were the agent's to ask for, or are what is wrong: whoever
    has no right to a system does not stop it for others by asking. times: how often."""

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
    """How a rule counts, in the words of trackers: by owner and what is counted apart; None for one that does not."""
    if rule.watches in ("tracker", "refusal_flood"):
        return None
    return Tracker(
        name=rule.name,
        over="agent",
        # By its name, so that it counts what is its own; the limit is not in it, and may change without a new count.
        matches=(EventMatch(event="started", capabilities=(counted_as(rule),)),),
        within_seconds=CANARY_SECONDS if rule.watches == "canary" else rule.within_seconds,
        same_resource=True,
    )


def counted_as(rule: StopRule) -> str:
    """What counts for a rule: whatever else it says is another count."""
    return f"{rule.watches} {rule.over} {rule.holds if is_apart(rule) else ''} {rule.name}"


def is_apart(rule: StopRule) -> bool:
    """Whether it is counted apart for each thing that it would hold: one of them stands still for what was its own."""
    return rule.holds not in ("agent", rule.over)


def events_of(rule: StopRule, stop_rule_signal: StopRuleSignal) -> tuple[Event, ...]:
    """What of it a rule counts, one event for each owner; none for what it does not count."""
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
    """Whether it is something that a rule watches, held or not."""
    kind, code = stop_rule_signal.kind, stop_rule_signal.code
    # What stands still already is no further evidence, but for what a canary was touched with.
    if code.startswith(HELD) and rule.watches != "canary":
        return False
    match rule.watches:
        case "budget_overrun":
            return kind == "overrun" or (kind == "denied" and code in BUDGET_CODES)
        case "canary":
            return kind in ("started", "denied") and touches(rule.canary, stop_rule_signal)
        case "denied_rate":
            return kind == "denied" and code not in OURS
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
        case "tracker":
            return False


def owners_of(rule: StopRule, stop_rule_signal: StopRuleSignal) -> tuple[str, ...]:
    """By whom it is counted; nobody where there is no such one."""
    match rule.over:
        case "agent":
            # Who was handed a part must not be able to have those held who gave it: what is done for a task, by
            # whomever, is counted by its mandate.
            return stop_rule_signal.agents[:1]
        case "instance":
            return stop_rule_signal.instances
        case "mandate":
            return (stop_rule_signal.mandate,) if stop_rule_signal.mandate else ()


def tracked_by(
    rule: StopRule, tracker: Tracker, stop_rule_signal: StopRuleSignal, capability: Capability | None
) -> tuple[str, ...]:
    """Whose number a rule that watches this tracker looks at. capability: as it is registered, where it is."""
    if rule.holds in TARGETS and not (capability and any(one.covers(capability) for one in tracker.matches)):
        # What the number is not about is not held for it.
        return ()
    if tracker.over == "agent":
        return stop_rule_signal.agents[:1]
    return (stop_rule_signal.mandate,) if stop_rule_signal.mandate else ()


def keys_of(rule: StopRule, stop_rule_signal: StopRuleSignal) -> tuple[str, ...]:
    """What is counted apart for each owner."""
    if rule.watches == "identical_retry":
        return stop_rule_signal.actions
    if rule.watches == "denied_variation":
        # Of one capability: what people said no to, changed a little.
        return (stop_rule_signal.capability or NO_KEY,)
    if not is_apart(rule):
        return (NO_KEY,)
    target = _target(rule, stop_rule_signal)
    if target is not None:
        return (target.name,)
    return (NO_KEY + stop_rule_signal.agents[0] if rule.over == "mandate" else NO_KEY,)


def holdable_of(rule: StopRule, stop_rule_signal: StopRuleSignal, owner: str) -> HoldTarget:
    """What stands still when it was too much for this owner."""
    if rule.holds == rule.over:
        return HoldTarget(rule.holds, owner)
    return _target(rule, stop_rule_signal) or HoldTarget(
        "agent", owner if rule.over == "agent" else stop_rule_signal.agents[0]
    )


def restored(rule: StopRule, owner: str, key: str, *, agent: str, at: int) -> StopRuleSignal | None:
    """What must have happened for a number that outlived its process; None where that does not say what to hold: then
    the next action of this owner does. agent: who acts for the owner; empty where that is not known."""
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
    """So many messages of an agent that a door knew were refused there."""
    return StopRuleSignal(
        kind="turned_away", at=at, agents=(agent,), code=code, times=min(times, TURNED_AWAY_TIMES_MAX)
    )


def touches(canary: Canary, stop_rule_signal: StopRuleSignal) -> bool:
    """Whether a canary was touched, as far as it can be read what with."""
    if stop_rule_signal.capability in canary.capabilities or stop_rule_signal.resource in canary.resources:
        return True
    if not canary.values or not stop_rule_signal.arguments:
        return False
    return any(value in text for text in _texts(dict(stop_rule_signal.arguments)) for value in canary.values)


def instances_of(instance: str) -> tuple[str, ...]:
    """The instance, and for a sub-agent the one that it is a sub-agent of; none for no SPIFFE ID."""
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
