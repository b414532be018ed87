"""Groups of the approvals that wait, kept in this process from one look to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from answerable.core.approval.features import features_of
from answerable.core.approval.grouping import NOBODY, grouped

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.approval.features import Features
    from answerable.core.approval.grouping import Grouped


@dataclass(slots=True)
class WaitingGroups:
    """What was made of those that waited at the last look, and what each is compared by: no approval changes what it
    shows."""

    _waiting: tuple[Approval, ...] = ()
    _found: Grouped = NOBODY
    _features: dict[ApprovalId, Features | None] = field(default_factory=dict)

    def of(self, waiting: tuple[Approval, ...]) -> Grouped:
        """Their groups; made anew only where others wait than at the last look."""
        if waiting != self._waiting:
            known = self._features
            self._features = {
                one.id: known[one.id] if one.id in known else features_of(one) for one in waiting
            }
            self._found = grouped(waiting, lambda one: self._features[one.id])
            self._waiting = waiting
        return self._found
