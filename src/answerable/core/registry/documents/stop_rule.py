"""A stop rule: what it watches, how much of it is too much, and what stands still then.

Laws: a rule only ever stops; a rule that is registered is in force, whoever owns it, until it is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from answerable.core.registry.documents.ownership import UNOWNED, Ownership

Watched = Literal[
    "budget_overrun",
    "canary",
    "denied_rate",
    "denied_variation",
    "identical_retry",
    "fan_out",
    "drifted",
    "tool_changed",
    "refused_at_door",
    "refusal_flood",
    "tracker",
]
WATCHED: Final[tuple[Watched, ...]] = get_args(Watched)
RuleOver = Literal["agent", "mandate", "instance"]
RULE_OVER: Final[tuple[RuleOver, ...]] = get_args(RuleOver)
RuleHolds = Literal["agent", "instance", "mandate", "tool", "server", "capability"]
RULE_HOLDS: Final[tuple[RuleHolds, ...]] = get_args(RuleHolds)
TARGETS: Final[frozenset[RuleHolds]] = frozenset({"tool", "server", "capability"})
"""What is acted on; the others act."""
BY_PEOPLE: Final[frozenset[Watched]] = frozenset({"denied_variation"})
"""Counted when people answer: then no instance is known, and nothing is stopped but who acts."""
UNCOUNTED: Final[frozenset[Watched]] = frozenset({"canary", "refusal_flood", "tracker"})
"""What has no window of its own: the first touch, the quota of refusals, and a tracker, which has its own."""

STOP_RULES_MAX: Final = 64
LIMIT_MAX: Final = 1_000_000
GRACE_SECONDS_MAX: Final = 3_600
EXPIRES_SECONDS_MAX: Final = 90 * 24 * 3600
CANARIES_MAX: Final = 100
"""Of one list."""
CANARY_CHARS_MIN: Final = 6
"""Of an argument value: shorter ones are found in what nobody meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What nobody has a reason to touch: capabilities, ids of resources, and texts that an argument has in it."""

    capabilities: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


NO_CANARY: Final = Canary()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """limit: what is let be; one more is too much. within_seconds: how far back is counted; 0 where nothing is.

    over: by whom it is counted. tracker: its name, for a rule that watches one. grace_seconds: how long it only warns.
    dry_run: it says what it would hold, and holds nothing. expires_seconds: how long its holds last; 0 for no end.
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
