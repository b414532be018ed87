"""What became of questions, and who stands in for whom, as long as the process lives."""

from __future__ import annotations

import threading
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from answerable.core.approval.duty_marks import DELEGATIONS_MAX, duplicate_delegation, no_room
from answerable.core.identity.principal import UnixMillis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import ApprovalId
    from answerable.core.approval.duty_delegation import DutyDelegation
    from answerable.core.identity.principal import PrincipalId


class MemoryDutyRegister:
    """Implements ports.duty_register.DutyRegister."""

    def __init__(self, *, delegations_max: int = DELEGATIONS_MAX) -> None:
        self._lock = threading.Lock()
        self._views: dict[ApprovalId, dict[PrincipalId, UnixMillis]] = {}
        self._told: dict[ApprovalId, dict[tuple[str, int], UnixMillis]] = {}
        self._delegations: dict[str, DutyDelegation] = {}
        self._known: set[str] = set()
        self._delegations_max = delegations_max

    def view(self, approval: ApprovalId, person: PrincipalId, at: UnixMillis) -> bool:
        """As the port says."""
        with self._lock:
            views = self._views.setdefault(approval, {})
            if person in views:
                return False
            views[person] = at
            return True

    def first_view(self, approval: ApprovalId) -> UnixMillis | None:
        """As the port says."""
        return min(self._views.get(approval, {}).values(), default=None)

    def tell(self, approval: ApprovalId, group: str, step: int, at: UnixMillis) -> bool:
        """As the port says."""
        with self._lock:
            told = self._told.setdefault(approval, {})
            if (group, step) in told:
                return False
            told[group, step] = at
            return True

    def told(self, approval: ApprovalId) -> frozenset[tuple[str, int]]:
        """As the port says."""
        return frozenset(self._told.get(approval, ()))

    def delegate(self, delegation: DutyDelegation) -> None:
        """As the port says."""
        with self._lock:
            if delegation.id in self._known:
                raise duplicate_delegation()
            if sum(not one.ended_at for one in self._delegations.values()) >= self._delegations_max:
                raise no_room(self._delegations_max)
            self._known.add(delegation.id)
            self._delegations[delegation.id] = delegation

    def end(self, delegation: str, at: UnixMillis) -> bool:
        """As the port says."""
        with self._lock:
            found = self._delegations.get(delegation)
            if found is None or found.ended_at:
                self._known.add(delegation)
                return False
            self._delegations[delegation] = changed(found, ended_at=UnixMillis(max(at, 1)))
            return True

    def find(self, delegation: str) -> DutyDelegation | None:
        """As the port says."""
        return self._delegations.get(delegation)

    def delegations(self) -> Sequence[DutyDelegation]:
        """As the port says."""
        with self._lock:
            return tuple(one for one in self._delegations.values() if not one.ended_at)

    def forget(self, *, before: UnixMillis) -> int:
        """As the port says."""
        with self._lock:
            old = [name for name, one in self._delegations.items() if one.until < before]
            for name in old:
                del self._delegations[name]
            count = len(old)
            for marks in (self._views, self._told):
                for approval in [one for one, at in marks.items() if max(at.values(), default=0) < before]:
                    count += len(marks.pop(approval))
            return count
