"""Port: telling people that an action waits for them, or that one was allowed which they are to know of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.notice import Notice
    from answerable.core.identity.names.principal import PrincipalId


class ApprovalChannel(Protocol):
    """Promises: best effort and quick; a channel that fails or changes what it is shown changes nothing about what will
    run, because it only ever sees an immutable value. It never answers an approval.

    Never raises.
    """

    def announce(self, approval: Approval, *, to: Sequence[PrincipalId] | None = None, step: int = 0) -> None:
        """Tell these people, or whoever may answer where nobody is named. step: 0 for the first time that anybody is
        told of it, else that of the duty by which it is passed on."""
        ...

    def notify(self, notice: Notice) -> None:
        """Tell a group what the ledger says already."""
        ...
