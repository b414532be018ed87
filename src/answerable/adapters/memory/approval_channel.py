"""Record announced approvals and notices in memory instead of sending them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.notice import Notice
    from answerable.core.identity.names.principal import PrincipalId


class MemoryApprovalChannel:
    """Implements ports.approval_channel.ApprovalChannel. Stores the newest `KEPT_MAX` of each kind, newest last."""

    KEPT_MAX = 1000

    def __init__(self) -> None:
        self.announced: list[Approval] = []
        self.told: list[tuple[str, tuple[str, ...] | None, int]] = []
        self.notified: list[Notice] = []

    def announce(self, approval: Approval, *, to: Sequence[PrincipalId] | None = None, step: int = 0) -> None:
        self.announced.append(approval)
        self.told.append((approval.id, None if to is None else tuple(to), step))
        for kept in (self.announced, self.told):
            del kept[: -self.KEPT_MAX]

    def notify(self, notice: Notice) -> None:
        self.notified.append(notice)
        del self.notified[: -self.KEPT_MAX]
