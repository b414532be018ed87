"""What a policy set declares beside its policies: what it wants counted, timed, classed and scored.

Laws: everything declared has a name of its own kind; a tracker over an agent has a window; every part is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from answerable.core.registry.documents.capability import ActionKind, Capability, Sensitivity
from answerable.core.registry.documents.destination import DestinationType
from answerable.core.registry.documents.time_rule import Weekday

EventKind = Literal["started", "succeeded", "failed", "denied", "approved"]
"""`started`: the intent is written. `failed`: also one whose end is not known. `approved`: people lifted a deferral."""
EVENT_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)

TRACKERS_MAX: Final = 64
STEPS_MAX: Final = 8
WINDOWS_MAX: Final = 64
CLASSES_MAX: Final = 32
FACTORS_MAX: Final = 64
WITHIN_SECONDS_MAX: Final = 90 * 24 * 3600
POINTS_MAX: Final = 1000

UNKNOWN_CLASS: Final = "unknown"
"""Of a destination that no class names; of an action that does not say where it goes though it sends."""
NO_CLASS: Final = "none"
"""Of an action that sends nothing anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMatch:
    """Which events count. Each list is empty for any; all that are not must hold."""

    event: EventKind = "started"
    capabilities: tuple[str, ...] = ()
    kinds: tuple[ActionKind, ...] = ()
    servers: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    sensitivities: tuple[Sensitivity, ...] = ()

    def covers(self, capability: Capability) -> bool:
        """Whether an event of this capability can count."""
        chosen: tuple[tuple[tuple[str, ...], str], ...] = (
            (self.capabilities, capability.name),
            (self.kinds, capability.kind),
            (self.servers, capability.server),
            (self.environments, capability.environment),
            (self.sensitivities, capability.sensitivity),
        )
        return all(not listed or value in listed for listed, value in chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """A number about what happened before, shown as `context.history.<name>`.

    over: whose entries. matches: one for a count or a sum; the steps, first to last, for a sequence.
    sum: the argument that is added up, of type integer or minor_units; empty for a number of events or steps.
    within_seconds: how far back; 0 for as long as the mandate lasts. same_resource: on the resource decided on only.
    """

    name: str
    over: Literal["mandate", "agent"]
    matches: tuple[EventMatch, ...]
    sum: str = ""
    sequence: bool = False
    within_seconds: int = 0
    same_resource: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """A time that policy knows by name, shown as `context.windows.<name>`: true while it lasts.

    begins, ends: Unix milliseconds, the end not included; 0 for without. days: empty for all. starts_at, stops_at:
    minutes after midnight UTC; a window whose stop is not after its start goes on into the next day, which counts
    as part of the day it began on. Both 0: the whole day.
    """

    name: str
    begins: int = 0
    ends: int = 0
    days: tuple[Weekday, ...] = ()
    starts_at: int = 0
    stops_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationClass:
    """Destinations under one name, the more trusted the earlier in its set. members: in their one spelling; one that
    begins with `*.` is every host below a domain, one without `@` for mail a whole domain."""

    name: str
    type: DestinationType
    members: tuple[str, ...]


FactorFact = Literal[
    "argument", "history", "window", "destination_class", "tier", "sensitivity", "environment",
    "irreversible", "drifted", "hops", "budget_left_percent",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFactor:
    """Points for one comparison. fact, of: what is looked at, and which argument, tracker or window of that kind.

    at_least, at_most: for numbers, both included. one_of: for texts. Neither: for what is true or not.
    """

    name: str
    points: int
    fact: FactorFact
    of: str = ""
    at_least: int | None = None
    at_most: int | None = None
    one_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyParts:
    """Of one set, or of all that are published together."""

    trackers: tuple[Tracker, ...] = ()
    windows: tuple[TimeWindow, ...] = ()
    destinations: tuple[DestinationClass, ...] = ()
    risk: tuple[RiskFactor, ...] = ()


NO_PARTS: Final = PolicyParts()
