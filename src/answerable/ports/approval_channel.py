"""Port: notify people that an action waits for their approval, or that an action of which they must be notified was
allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.notice import Notice
    from answerable.core.identity.names.principal import PrincipalId


class ApprovalChannel(Protocol):
    """Promises: best effort and quick. A channel never answers an approval, and cannot change what will run: it
    receives only an immutable value.

    Never raises.
    """

    def announce(self, approval: Approval, *, to: Sequence[PrincipalId] | None = None, step: int = 0) -> None:
        """Notify these people, or everybody who may answer where `to` is None. step: 0 for the first notification of
        this approval, else the number of the duty step that escalates it."""
        ...

    def notify(self, notice: Notice) -> None:
        """Notify a group of what the ledger already records."""
        ...
