"""Port: what became of questions on their way to people, and who stands in for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import ApprovalId
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis


class DutyRegister(Protocol):
    """Promises: what `view`, `tell`, `delegate` and `end` did is on stable storage when they return and survives a
    restart; a step is told, and a delegation ended, at most once, whoever races, in this process and in others; the id
    of a delegation never counts a second time; `first_view`, `told`, `find` and `delegations` are synchronous and do no
    I/O. What others did is seen at the next refresh of the store, but by `tell`, `delegate` and `end` at once.

    Raises only Unavailable (`register.*`) and, from `delegate`, Malformed (`duty.duplicate`, `duty.full`).
    """

    def view(self, approval: ApprovalId, person: PrincipalId, at: UnixMillis) -> bool:
        """Note that a person saw it; False where that is noted already."""
        ...

    def first_view(self, approval: ApprovalId) -> UnixMillis | None:
        """When somebody first saw it, or None."""
        ...

    def tell(self, approval: ApprovalId, group: str, step: int, at: UnixMillis) -> bool:
        """Note that a step was told; False where it had been."""
        ...

    def told(self, approval: ApprovalId) -> frozenset[tuple[str, int]]:
        """Group and number of the steps that were told."""
        ...

    def delegate(self, delegation: DeputyStatement) -> None:
        """Keep a new one."""
        ...

    def end(self, delegation: str, at: UnixMillis) -> bool:
        """It counts no more; False where there is none of this id or it had been ended. One whose end was never noted
        here before it came cannot come later."""
        ...

    def find(self, delegation: str) -> DeputyStatement | None:
        """The one of this id, also where it is over or was ended; None after `forget`."""
        ...

    def delegations(self) -> Sequence[DeputyStatement]:
        """All that were not ended, also those that are over or to come, oldest first."""
        ...

    def forget(self, *, before: UnixMillis) -> int:
        """Drop what was noted of questions before this time, and delegations that were over by then; tells how many. An
        id stays known."""
        ...
