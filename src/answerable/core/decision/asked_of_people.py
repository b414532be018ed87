"""How often people are asked: what decisions that were taken asked of them, and what another policy set would ask.

Laws: an action counts once: where people were asked about it and it ran by their yes, the asking counts and the running
does not; what the other set cannot tell is on neither side; names past NAMES_MAX are counted together.
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
    """How many, and of them by tier of the action, by rule that asks and by group that is asked: one question of two
    rules counts for both."""

    count: int = 0
    tiers: dict[str, int] = {}
    rules: dict[str, int] = {}
    groups: dict[str, int] = {}

    def add(self, *, tier: str, rules: Iterable[str], groups: Iterable[str]) -> None:
        """One more."""
        self.count += 1
        for counts, names in ((self.tiers, (tier,)), (self.rules, rules), (self.groups, groups)):
            for name in dict.fromkeys(names):
                key = name if name in counts or len(counts) < NAMES_MAX else OTHERS
                counts[key] = counts.get(key, 0) + 1


class QuestionsCompared(msgspec.Struct, kw_only=True):
    """Of one stretch of a log. before: that were asked; after: that would be. tasks: mandates issued in it. first_at,
    last_at: Unix milliseconds of the first and the last decision; 0 for none."""

    before: Questions = msgspec.field(default_factory=Questions)
    after: Questions = msgspec.field(default_factory=Questions)
    tasks: int = 0
    first_at: int = 0
    last_at: int = 0

    def saw(self, at: int) -> None:
        """A decision of that time."""
        self.first_at = min(self.first_at, at) if self.first_at else at
        self.last_at = max(self.last_at, at)


def at_tier(question: bytes, tiers: Mapping[str, int]) -> bytes:
    """The question as it would be were its capability of another tier. tiers: by capability. What is no question comes
    back as it is."""
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
    """Whom of people the leaf of a question asked."""
    wanted = leaf.get("requirements")
    return (
        [str(one[0]) for one in wanted if isinstance(one, list) and one] if isinstance(wanted, list) else []
    )


def checked_tiers(tiers: Mapping[str, JSONValue], known: Mapping[str, object]) -> dict[str, int]:
    """Raises Malformed (`simulation.tier`) for what is no tier, or of no capability that there is."""
    found: dict[str, int] = {}
    for name, tier in tiers.items():
        if name not in known:
            raise SIMULATION_TIER(f"there is no active capability `{name}`")
        if type(tier) is not int or not 0 <= tier <= 3:
            raise SIMULATION_TIER(f"the tier of `{name}` is a whole number from 0 to 3")
        found[name] = tier
    return found
