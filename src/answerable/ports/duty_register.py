"""Port: which approvals people viewed, which duty steps were sent, and the deputies of each person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import ApprovalId
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis


class DutyRegister(Protocol):
    """Promises: what `view`, `tell`, `delegate` and `end` did is on stable storage when they return and survives a
    restart; a step is sent, and a delegation ended, at most once, also among racing callers in any process; the id of a
    delegation is never accepted a second time; `first_view`, `told`, `find` and `delegations` are synchronous and do no
    I/O. Changes by other processes are visible from the next refresh of the store, but to `tell`, `delegate` and `end`
    at once.

    Raises only Unavailable (`register.*`) and, from `delegate`, Malformed (`duty.duplicate`, `duty.full`).
    """

    def view(self, approval: ApprovalId, person: PrincipalId, at: UnixMillis) -> bool:
        """Note that a person viewed the approval. False if already noted."""
        ...

    def first_view(self, approval: ApprovalId) -> UnixMillis | None:
        """Return when the approval was first viewed, or None."""
        ...

    def tell(self, approval: ApprovalId, group: str, step: int, at: UnixMillis) -> bool:
        """Note that a duty step was sent. False if already noted."""
        ...

    def told(self, approval: ApprovalId) -> frozenset[tuple[str, int]]:
        """Return group and number of each step that was sent."""
        ...

    def delegate(self, delegation: DeputyStatement) -> None:
        """Store a new delegation."""
        ...

    def end(self, delegation: str, at: UnixMillis) -> bool:
        """End the delegation. False where there is none of this id or it was already ended. A delegation whose id was
        ended before it was stored can never be stored."""
        ...

    def find(self, delegation: str) -> DeputyStatement | None:
        """Return the delegation of this id, including expired and ended ones; None after `forget`."""
        ...

    def delegations(self) -> Sequence[DeputyStatement]:
        """Return all delegations that were not ended, including expired and future ones, oldest first."""
        ...

    def forget(self, *, before: UnixMillis) -> int:
        """Remove what was noted of approvals before this time, and delegations that were over by then; return how many.
        The ids stay known."""
        ...
