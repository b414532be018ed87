"""What a caller is answered for one action that was governed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from answerable.core.action.outcome import Outcome
    from answerable.core.approval.approval import Approval
    from answerable.core.ledger.entry import Receipt


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Either an outcome with its receipt, or an approval that is still waited for.

    log: origin of the log that the receipts are of, where it is another process's; empty for our own.
    """

    action_id: str = ""
    outcome: Outcome | None = None
    intent: Receipt | None = None
    receipt: Receipt | None = None
    approval: Approval | None = None
    log: str = ""
