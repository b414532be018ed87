"""Count how often people are asked for approval, by recorded decisions and as another policy set would decide.

Laws: an action counts once: where people were asked and the action ran after their approval, the request counts and the
run does not; what the other set cannot decide is on neither side; names past NAMES_MAX are counted together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.errors.codes.policy import SIMULATION_TIER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue

NAMES_MAX: Final = 500
OTHERS: Final = "(others)"


class Questions(msgspec.Struct, kw_only=True):
    """Number of approvals, and counts by tier of the action, by rule that requires it and by group that is asked: one
    required by two rules counts for both."""

    count: int = 0
    tiers: dict[str, int] = {}
    rules: dict[str, int] = {}
    groups: dict[str, int] = {}

    def add(self, *, tier: str, rules: Iterable[str], groups: Iterable[str]) -> None:
        """Count one more."""
        self.count += 1
        for counts, names in ((self.tiers, (tier,)), (self.rules, rules), (self.groups, groups)):
            for name in dict.fromkeys(names):
                key = name if name in counts or len(counts) < NAMES_MAX else OTHERS
                counts[key] = counts.get(key, 0) + 1


class QuestionsCompared(msgspec.Struct, kw_only=True):
    """Both counts for one entry range of a log. before: approvals requested; after: approvals that would be requested.
    tasks: mandates issued in it. first_at, last_at: Unix milliseconds of the first and the last decision; 0 for none.
    """

    before: Questions = msgspec.field(default_factory=Questions)
    after: Questions = msgspec.field(default_factory=Questions)
    tasks: int = 0
    first_at: int = 0
    last_at: int = 0

    def saw(self, at: int) -> None:
        """Note a decision of that time."""
        self.first_at = min(self.first_at, at) if self.first_at else at
        self.last_at = max(self.last_at, at)


def at_tier(question: bytes, tiers: Mapping[str, int]) -> bytes:
    """Return the question as if its capability had another tier. tiers: by capability. Text that is no question is
    returned unchanged."""
    if not tiers:
        return question
    try:
        asked: dict[str, Any] = msgspec.json.decode(question, type=dict)
        name = asked["action"]["id"]
        if name not in tiers:
            return question
        asked["context"]["capability"]["tier"] = tiers[name]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return question
    return msgspec.json.encode(asked)


def groups_in(leaf: Mapping[str, JSONValue]) -> list[str]:
    """Return the groups that the leaf of an approval request asked."""
    wanted = leaf.get("requirements")
    return (
        [str(one[0]) for one in wanted if isinstance(one, list) and one] if isinstance(wanted, list) else []
    )


def checked_tiers(tiers: Mapping[str, JSONValue], known: Mapping[str, object]) -> dict[str, int]:
    """Check tiers by capability. Raises Malformed (`simulation.tier`) for an invalid tier or an unknown capability."""
    found: dict[str, int] = {}
    for name, tier in tiers.items():
        if name not in known:
            raise SIMULATION_TIER(f"there is no active capability `{name}`")
        if type(tier) is not int or not 0 <= tier <= 3:
            raise SIMULATION_TIER(f"the tier of `{name}` must be a whole number from 0 to 3")
        found[name] = tier
    return found
