"""Holds that stand for another reason than a quota of refusals that is used up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.containment.hold import HoldTarget
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.walk import Walk

QUOTA: Final = "refusal-quota"
"""The rule that such a hold says it is of; no document declares it."""


def is_held_by_people_or_rule(walk: Walk, what: HoldTarget, now: UnixMillis) -> bool:
    """Whether it stands still for another reason than a quota, whose end a rule is there to outlast. Raises
    Unavailable."""
    found = walk.holds.find((what,), now)
    if found is None or found.rule != QUOTA:
        return found is not None
    return any(one.what == what and one.rule != QUOTA and one.is_in_force(now) for one in walk.holds.all())
