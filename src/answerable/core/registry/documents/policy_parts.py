"""The declarations of a policy set besides its policies: trackers, time windows, destination classes and risk factors.

Laws: every declaration has a name that is unique in its kind; a tracker over an agent has a window; every part is
bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from answerable.core.registry.documents.capability import ActionKind, Capability, Sensitivity
from answerable.core.registry.documents.destination import DestinationType
from answerable.core.registry.documents.time_rule import Weekday

EventKind = Literal["started", "succeeded", "failed", "denied", "approved"]
"""started: the intent is recorded. failed: includes actions with an unknown outcome. approved: people lifted a
deferral."""
EVENT_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)

TRACKERS_MAX: Final = 64
STEPS_MAX: Final = 8
WINDOWS_MAX: Final = 64
CLASSES_MAX: Final = 32
FACTORS_MAX: Final = 64
WITHIN_SECONDS_MAX: Final = 90 * 24 * 3600
POINTS_MAX: Final = 1000

UNKNOWN_CLASS: Final = "unknown"
"""Class of a destination that no class contains, and of a sending action that names no destination."""
NO_CLASS: Final = "none"
"""Class of an action that sends nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMatch:
    """Which events count. An empty list matches any event; all other lists must match."""

    event: EventKind = "started"
    capabilities: tuple[str, ...] = ()
    kinds: tuple[ActionKind, ...] = ()
    servers: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    sensitivities: tuple[Sensitivity, ...] = ()

    def covers(self, capability: Capability) -> bool:
        """Whether events of this capability can count."""
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
    """A number about earlier events, available to policy as `context.history.<name>`.

    over: whose entries. matches: one for a count or a sum; the steps, first to last, for a sequence. sum: the argument
    to add up, of type integer or minor_units; empty to count events or steps. within_seconds: how far back; 0 for the
    whole mandate. same_resource: only events on the resource being decided on.
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
    """A named time window, available to policy as `context.windows.<name>`: true while the window is open.

    begins, ends: Unix milliseconds, the end not included; 0 for unbounded. days: empty for all. starts_at, stops_at:
    minutes after midnight UTC; a window whose stop is not after its start continues into the next day, and that part
    belongs to the day on which it began. Both 0: the whole day.
    """

    name: str
    begins: int = 0
    ends: int = 0
    days: tuple[Weekday, ...] = ()
    starts_at: int = 0
    stops_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationClass:
    """A named class of destinations; earlier classes of a set are more trusted. members: in canonical spelling; a
    member that begins with `*.` is every host below a domain, a member without `@` for mail is a whole domain."""

    name: str
    type: DestinationType
    members: tuple[str, ...]


FactorFact = Literal[
    "argument", "history", "window", "destination_class", "tier", "sensitivity", "environment",
    "irreversible", "drifted", "hops", "budget_left_percent",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFactor:
    """Points for one comparison. fact, of: the compared fact, and which argument, tracker or window it is.

    at_least, at_most: for numbers, both included. one_of: for texts. Neither: for booleans.
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
    """The declarations of one set, or of all sets that are published together."""

    trackers: tuple[Tracker, ...] = ()
    windows: tuple[TimeWindow, ...] = ()
    destinations: tuple[DestinationClass, ...] = ()
    risk: tuple[RiskFactor, ...] = ()


NO_PARTS: Final = PolicyParts()
