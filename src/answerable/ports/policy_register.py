"""Port: what is kept of policy sets beside those in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.registry.policy_sets.policy_record import PolicyRecord, RecordKind


class PolicyRegister(Protocol):
    """Promises: what `put` took is on stable storage when it returns, and what `remove` took is gone; both are seen by
    every later read, in whatever process; records of one kind are told from those of another.

    It believes what it is given, and is read by people's commands only, never by an action. Raises only Unavailable
    (`register.*`).
    """

    def put(self, record: PolicyRecord) -> None:
        """Keep it, in the place of one of the same kind and id."""
        ...

    def find(self, kind: RecordKind, name: str) -> PolicyRecord | None:
        """The one of this id, or None."""
        ...

    def all(self, kind: RecordKind) -> tuple[PolicyRecord, ...]:
        """Every one of a kind, the one that was put last first."""
        ...

    def remove(self, kind: RecordKind, name: str) -> None:
        """Forget it; one that is not there is no fault."""
        ...
