"""What is kept of policy sets, for as long as the process lives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.registry.policy_record import PolicyRecord, RecordKind


class MemoryPolicyRegister:
    """Implements ports.policy_register.PolicyRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[tuple[RecordKind, str], PolicyRecord] = {}

    def put(self, record: PolicyRecord) -> None:
        """As the port says."""
        with self._lock:
            self._records.pop((record.kind, record.id), None)
            self._records[record.kind, record.id] = record

    def find(self, kind: RecordKind, name: str) -> PolicyRecord | None:
        """As the port says."""
        with self._lock:
            return self._records.get((kind, name))

    def all(self, kind: RecordKind) -> tuple[PolicyRecord, ...]:
        """As the port says."""
        with self._lock:
            return tuple(one for one in reversed(self._records.values()) if one.kind == kind)

    def remove(self, kind: RecordKind, name: str) -> None:
        """As the port says."""
        with self._lock:
            self._records.pop((kind, name), None)
