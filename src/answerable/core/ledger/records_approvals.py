"""What the entry says about an approval that is void: what would run is not what people were shown any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.principal import UnixMillis
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.runs import Run

BECAUSE_MAX: Final = 32


def approval_void(
    approval: Approval,
    because: tuple[str, ...],
    *,
    at: UnixMillis,
    run: Run,
    digest: str,
) -> Entry:
    """Nothing runs by it any more. because: what is not as it was shown, in words of ours, which need no sealing.

    digest: pseudonym.
    """
    members: dict[str, JSONValue] = {
        "agent": approval.agent,
        "approval": approval.id,
        "because": [*because[:BECAUSE_MAX]],
        "digest": digest,
        "mandate": approval.mandate,
    }
    return sealed_entry(Tag.APPROVAL_VOID, at=at, members=members, run=run)
