"""What routing and delegations of duty need beside the walk: where they are kept, and which question is next."""

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
"""Questions looked at in one turn; between two turns others run."""


@dataclass(slots=True, kw_only=True)
class OnCallState:
    """register: None where nothing is routed, and everybody who may answer is told at once.

    recorded: steps whose entry stands in the ledger, of which it is not known that they were told. scanned: the
    registry by which all that waits was last looked at. members: of groups, in that registry.
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
        """Look at this question at that time, or before if that was said already."""
        known = self._times.get(approval)
        if known is None or at < known:
            self._times[approval] = at
            heappush(self._heap, (at, approval))
        self.woken.set()

    def due(self, now: UnixMillis) -> list[ApprovalId]:
        """At most `DUE_MAX` questions whose time has come, longest overdue first; they are taken off."""
        found: list[ApprovalId] = []
        while self._heap and self._heap[0][0] <= now and len(found) < DUE_MAX:
            at, approval = heappop(self._heap)
            if self._times.get(approval) == at:
                del self._times[approval]
                found.append(approval)
        return found

    def next_at(self) -> UnixMillis | None:
        """When the next one is due; may be sooner than need be."""
        return self._heap[0][0] if self._heap else None
