"""The gateway's answer to a caller for one governed action."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from answerable.core.canonical import encode

if TYPE_CHECKING:
    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import Receipt


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Either an outcome with its receipt, or a pending approval.

    log: origin of the log of the receipts, where another process keeps it; empty for our own. narrowed: the arguments
    as policy narrowed them, in canonical JSON; empty where policy narrowed none.
    """

    action_id: str = ""
    outcome: Outcome | None = None
    intent: Receipt | None = None
    receipt: Receipt | None = None
    approval: Approval | None = None
    log: str = ""
    narrowed: bytes = b""


def with_narrowing(answer: Answer, asked: VerifiedRequest, verified: VerifiedRequest) -> Answer:
    """Return the answer with the arguments that policy changed from what was requested, if any."""
    if asked is verified:
        return answer
    before = asked.arguments
    changed: dict[str, JSONValue] = {
        name: value
        for name, value in verified.arguments.items()
        if name not in before or encode(before[name]) != encode(value)
    }
    return msgspec.structs.replace(answer, narrowed=encode(changed))
