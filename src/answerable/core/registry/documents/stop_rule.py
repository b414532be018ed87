"""Stop rules: what a rule watches, its limit, and what it puts on hold.

Laws: a rule only ever stops; a registered rule is in force, whoever owns it, until it is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from answerable.core.registry.documents.ownership import UNOWNED, Ownership

Watched = Literal[
    "budget_overrun",
    "canary",
    "denied_rate",
    "outside_scope",
    "denied_variation",
    "identical_retry",
    "fan_out",
    "drifted",
    "tool_changed",
    "refused_at_door",
    "refusal_flood",
    "log_bypass",
    "log_content",
    "log_forged",
    "log_phantom",
    "tracker",
]
WATCHED: Final[tuple[Watched, ...]] = get_args(Watched)
RuleOver = Literal["agent", "mandate", "instance"]
RULE_OVER: Final[tuple[RuleOver, ...]] = get_args(RuleOver)
RuleHolds = Literal["agent", "instance", "mandate", "tool", "server", "capability"]
RULE_HOLDS: Final[tuple[RuleHolds, ...]] = get_args(RuleHolds)
TARGETS: Final[frozenset[RuleHolds]] = frozenset({"tool", "server", "capability"})
"""Holds on the targets of actions; the other kinds are holds on those who act."""
BY_PEOPLE: Final[frozenset[Watched]] = frozenset({"denied_variation"})
"""Events counted when people answer: no instance is known then, so only holds on those who act are possible."""
BY_LOGS: Final[frozenset[Watched]] = frozenset({"log_bypass", "log_content", "log_forged", "log_phantom"})
"""What the log of a target shows: it names an agent and its task, and neither instance nor tool."""
UNCOUNTED: Final[frozenset[Watched]] = frozenset({"canary", "refusal_flood", "tracker"})
"""Rules without a window of their own: the first touch, the quota of refusals, and a tracker, which has one."""

STOP_RULES_MAX: Final = 64
LIMIT_MAX: Final = 1_000_000
GRACE_SECONDS_MAX: Final = 3_600
EXPIRES_SECONDS_MAX: Final = 90 * 24 * 3600
CANARIES_MAX: Final = 100
"""Maximum for each list."""
CANARY_CHARS_MIN: Final = 6
"""Minimum length of an argument value: shorter texts occur by coincidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Decoys that no legitimate action touches: capabilities, ids of resources, and texts contained in an argument."""

    capabilities: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


NO_CANARY: Final = Canary()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """A stop rule. limit: the highest count without a hold. within_seconds: how far back is counted; 0 if nothing is.

    over: by which subject it is counted. tracker: name of the tracker to watch. grace_seconds: how long the rule only
    warns. dry_run: the rule reports what it would hold, and holds nothing. expires_seconds: how long its holds last; 0
    for no end.
    """

    name: str
    watches: Watched
    limit: int = 0
    within_seconds: int = 0
    over: RuleOver = "agent"
    holds: RuleHolds = "agent"
    canary: Canary = NO_CANARY
    tracker: str = ""
    grace_seconds: int = 0
    dry_run: bool = False
    expires_seconds: int = 0
    ownership: Ownership = UNOWNED
