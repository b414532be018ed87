"""Approval channel that keeps what it was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.notice import Notice


class MemoryApprovalChannel:
    """Implements ports.approval_channel.ApprovalChannel: bounded, newest last."""

    KEPT_MAX = 1000

    def __init__(self) -> None:
        self.announced: list[Approval] = []
        self.notified: list[Notice] = []

    def announce(self, approval: Approval) -> None:
        """As the port says."""
        self.announced.append(approval)
        del self.announced[: -self.KEPT_MAX]

    def notify(self, notice: Notice) -> None:
        """As the port says."""
        self.notified.append(notice)
        del self.notified[: -self.KEPT_MAX]
