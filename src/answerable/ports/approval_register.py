"""Port: the present state of approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId


class ApprovalRegister(Protocol):
    """Promises: `add`, `replace`, `replace_many` and `use` are on stable storage when they return and survive a
    restart; `use` succeeds at most once for an approval, whoever races; `matching` and `denied` are synchronous and do
    no I/O; neither of these two finds a canary, and `use` uses none.

    Raises only Unavailable (`register.*`) and, from `add`, Malformed (`approval.duplicate`).
    """

    def find(self, approval: ApprovalId) -> Approval | None:
        """The approval or None."""
        ...

    def matching(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        """The pending or approved approval for this action digest (32 bytes) that has not expired at `now`."""
        ...

    def denied(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        """What people last said of this action, if that was no and its time is not over at `now`."""
        ...

    def add(self, approval: Approval) -> None:
        """Keep a new one."""
        ...

    def replace(self, approval: Approval, *, was: Approval) -> bool:
        """Put `approval` where `was` is; False when somebody else changed it: then `find` has what is there."""
        ...

    def replace_many(self, changes: Sequence[tuple[Approval, Approval]]) -> tuple[bool, ...]:
        """`replace` for each pair of an approval and what it was, in this order, and what each gives. What is put is on
        stable storage at once: after a crash, and where this raises, that is all of it or nothing."""
        ...

    def use(self, approval: ApprovalId, now: UnixMillis) -> bool:
        """Approved to used; False when it was not approved (any more)."""
        ...

    def all(self, *, pending_only: bool, now: UnixMillis) -> Iterable[Approval]:
        """Newest first; also those that other processes have added when this is called."""
        ...
