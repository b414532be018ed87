"""The approval channel of a walk, failing when told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.notice import Notice
    from answerable.ports.approval_channel import ApprovalChannel
    from answerable.testing.trouble import Trouble


class TroubledChannel:
    """Implements ports.approval_channel.ApprovalChannel, but that it raises when it fails, as it should not."""

    def __init__(self, channel: ApprovalChannel, trouble: Trouble) -> None:
        self._channel, self._trouble = channel, trouble

    def announce(self, approval: Approval) -> None:
        """As the port says."""
        self._trouble.call("channel.announce", lambda: self._channel.announce(approval))

    def notify(self, notice: Notice) -> None:
        """As the port says."""
        self._trouble.call("channel.notify", lambda: self._channel.notify(notice))
