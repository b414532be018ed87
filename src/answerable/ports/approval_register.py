"""Port: the current state of approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId


class ApprovalRegister(Protocol):
    """Promises: `add`, `replace` and `replace_many` are on stable storage when they return and survive a restart; `use`
    succeeds at most once for an approval, also among racing callers of the one process that uses the approvals of a
    mandate; `matching`, `denied` and `use` are synchronous and do no I/O; none finds a canary. A use is in the ledger,
    as an intent: its row follows, and a restart makes it again from there.

    Raises only Unavailable (`register.*`) and, from `add`, Malformed (`approval.duplicate`).
    """

    def find(self, approval: ApprovalId) -> Approval | None:
        """Return the approval, or None."""
        ...

    def matching(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        """Return the pending or approved approval for this action digest (32 bytes) that has not expired at `now`."""
        ...

    def denied(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        """Return the latest answer of people to this action, if it was a denial that is still in force at `now`."""
        ...

    def add(self, approval: Approval) -> None:
        """Store a new approval."""
        ...

    def replace(self, approval: Approval, *, was: Approval) -> bool:
        """Replace `was` with `approval`. False when another caller changed it meanwhile: then `find` returns the stored
        one."""
        ...

    def replace_many(self, changes: Sequence[tuple[Approval, Approval]]) -> tuple[bool, ...]:
        """Call `replace` for each pair of a new and an old approval, in order, and return each result. All replacements
        reach stable storage together: after a crash or an exception, all of them are stored or none."""
        ...

    def use(self, approval: ApprovalId, now: UnixMillis) -> bool:
        """Change the state from approved to used. False when the approval is not in state approved (any more), or is
        being replaced."""
        ...

    def deciding(self) -> AbstractContextManager[object]:
        """While it is held, no row of a use is stored: for the turn in which a use may be given back."""
        ...

    def give_back(self, approval: ApprovalId) -> None:
        """Undo the use of an approval by an intent that gets no place, in the turn of the use and `deciding`. It stays
        used where its row is stored already."""
        ...

    def keep_use(self, approval: ApprovalId) -> None:
        """Store the row of a use whose intent has its place. Does not wait and never raises: what cannot be stored
        now follows later."""
        ...

    def all(self, *, pending_only: bool, now: UnixMillis) -> Iterable[Approval]:
        """Return approvals, newest first, including those that other processes added before the call."""
        ...
