"""Find holds that exist for another reason than an exhausted quota of refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.containment.hold import HoldTarget
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.ports.hold_register import HoldRegister

QUOTA: Final = "refusal-quota"
"""Rule name of holds for an exhausted quota; no document declares it."""


def is_held_by_people_or_rule(holds: HoldRegister, what: HoldTarget, now: UnixMillis) -> bool:
    """Whether a hold by a person or a stop rule is in force, not only a quota hold, which may end earlier.

    Raises Unavailable.
    """
    found = holds.find((what,), now)
    if found is None or found.rule != QUOTA:
        return found is not None
    return any(one.what == what and one.rule != QUOTA and one.is_in_force(now) for one in holds.all())
