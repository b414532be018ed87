"""State of approval routing and deputies: the register, and the queue of approvals to look at next."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from anyio import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.approval.approval import ApprovalId
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.ports.duty_register import DutyRegister

DUE_MAX: Final = 200
"""Approvals handled in one turn before the event loop runs other tasks."""


@dataclass(slots=True, kw_only=True)
class OnCallState:
    """Routing of approvals to people on call.

    `register`: None if approvals are not routed, so that everybody who may answer is notified at once.

    `recorded`: steps with an entry in the ledger whose notification is not confirmed. `scanned`: the registry in which
    all waiting approvals were last checked. `members`: of groups, in the registry `members_of`.
    """

    register: DutyRegister | None = None
    recorded: set[tuple[ApprovalId, str, int]] = field(default_factory=set)
    scanned: RegistrySnapshot | None = None
    members: Mapping[str, tuple[PrincipalId, ...]] = field(default_factory=dict)
    members_of: RegistrySnapshot | None = None
    woken: Event = field(default_factory=Event)
    _times: dict[ApprovalId, UnixMillis] = field(default_factory=dict)
    _heap: list[tuple[UnixMillis, ApprovalId]] = field(default_factory=list)

    def look(self, approval: ApprovalId, at: UnixMillis) -> None:
        """Schedule a check of this approval at that time, or keep an earlier one."""
        known = self._times.get(approval)
        if known is None or at < known:
            self._times[approval] = at
            heappush(self._heap, (at, approval))
        self.woken.set()

    def due(self, now: UnixMillis) -> list[ApprovalId]:
        """Return and remove at most `DUE_MAX` approvals whose time has come, longest overdue first."""
        found: list[ApprovalId] = []
        while self._heap and self._heap[0][0] <= now and len(found) < DUE_MAX:
            at, approval = heappop(self._heap)
            if self._times.get(approval) == at:
                del self._times[approval]
                found.append(approval)
        return found

    def next_at(self) -> UnixMillis | None:
        """Return when the next approval is due; may be earlier than needed."""
        return self._heap[0][0] if self._heap else None
