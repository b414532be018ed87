"""The approvals that wait, in groups of those that are alike; kept from one look to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from answerable.core.approval.features import features_of
from answerable.core.approval.grouping import NOBODY, grouped
from answerable.errors import Refused, shown

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.approval.features import Features
    from answerable.core.approval.grouping import Group, Grouped
    from answerable.flows.walk import Walk


@dataclass(slots=True)
class WaitingGroups:
    """What was made of those that waited at the last look. features: by id, as no approval changes what it shows."""

    waiting: tuple[Approval, ...] = ()
    found: Grouped = NOBODY
    features: dict[ApprovalId, Features | None] = field(default_factory=dict)


def groups_waiting(walk: Walk) -> Grouped:
    """Groups of all that wait now, and those that stand alone. Raises Unavailable."""
    state = walk.under_way.groups
    waiting = tuple(walk.approvals.all(pending_only=True, now=walk.clock.now()))
    if waiting != state.waiting:
        known = state.features
        state.features = {one.id: known[one.id] if one.id in known else features_of(one) for one in waiting}
        state.found = grouped(waiting, lambda one: state.features[one.id])
        state.waiting = waiting
    return state.found


def group_named(walk: Walk, name: str) -> Group:
    """One that waits. Raises Refused (`approval.no_group`), Unavailable."""
    found = next((one for one in groups_waiting(walk).groups if one.id == name), None)
    if found is None:
        raise Refused(
            f"there is no group {shown(name)} any more: its approvals were answered, or are too few",
            code="approval.no_group",
        )
    return found
