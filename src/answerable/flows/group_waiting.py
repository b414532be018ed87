"""The approvals that wait, in groups of those that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors import Refused, shown

if TYPE_CHECKING:
    from answerable.core.approval.grouping import Group, Grouped
    from answerable.flows.walk import Walk


def groups_waiting(walk: Walk) -> Grouped:
    """Groups of all that wait now, and those that stand alone. Raises Unavailable."""
    return walk.under_way.groups.of(tuple(walk.approvals.all(pending_only=True, now=walk.clock.now())))


def group_named(walk: Walk, name: str) -> Group:
    """One that waits. Raises Refused (`approval_group.unknown`), Unavailable."""
    found = next((one for one in groups_waiting(walk).groups if one.id == name), None)
    if found is None:
        raise Refused(
            f"there is no group {shown(name)} any more: its approvals were answered, or are too few",
            code="approval_group.unknown",
        )
    return found
