"""Port: stored policy sets and records about them, other than the sets in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.registry.policy_sets.policy_record import PolicyRecord, RecordKind


class PolicyRegister(Protocol):
    """Promises: what `put` stored is on stable storage when it returns, and what `remove` removed is deleted; every
    later read in any process sees both; records of different kinds never collide.

    The register verifies nothing. Only human-facing commands read it, never an action. Raises only Unavailable
    (`register.*`).
    """

    def put(self, record: PolicyRecord) -> None:
        """Store the record, replacing one of the same kind and id."""
        ...

    def find(self, kind: RecordKind, name: str) -> PolicyRecord | None:
        """Return the record of this id, or None."""
        ...

    def all(self, kind: RecordKind) -> tuple[PolicyRecord, ...]:
        """Return every record of a kind, the latest put first."""
        ...

    def remove(self, kind: RecordKind, name: str) -> None:
        """Remove the record; a missing one is not an error."""
        ...
