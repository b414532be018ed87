"""What a caller is answered for one action that was governed."""

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
    """Either an outcome with its receipt, or an approval that is still waited for.

    log: origin of the log that the receipts are of, where it is another process's; empty for our own. narrowed: the
    arguments that policy narrowed, as they were then, in canonical JSON; empty where it narrowed none.
    """

    action_id: str = ""
    outcome: Outcome | None = None
    intent: Receipt | None = None
    receipt: Receipt | None = None
    approval: Approval | None = None
    log: str = ""
    narrowed: bytes = b""


def with_narrowing(answer: Answer, asked: VerifiedRequest, verified: VerifiedRequest) -> Answer:
    """The answer, which says which arguments of the action were others than those that were asked for, if any were."""
    if asked is verified:
        return answer
    before = asked.arguments
    changed: dict[str, JSONValue] = {
        name: value
        for name, value in verified.arguments.items()
        if name not in before or encode(before[name]) != encode(value)
    }
    return msgspec.structs.replace(answer, narrowed=encode(changed))
