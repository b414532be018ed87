"""Subject keys that live as long as the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.ledger.subject_key import KEY_ID_BYTES, SECRET_BYTES, SubjectKey

if TYPE_CHECKING:
    from answerable.ports.entropy import Entropy


class MemorySubjectKeys:
    """Implements ports.subject_keys.SubjectKeys."""

    def __init__(self, *, entropy: Entropy) -> None:
        self._entropy = entropy
        self._lock = threading.Lock()
        self._by_subject: dict[str, SubjectKey] = {}
        self._by_id: dict[bytes, SubjectKey] = {}

    def of(self, subject: str) -> SubjectKey:
        """As the port says."""
        with self._lock:
            found = self._by_subject.get(subject)
            if found is None:
                key = SubjectKey(
                    id=self._entropy.bytes(KEY_ID_BYTES), secret=self._entropy.bytes(SECRET_BYTES)
                )
                found = self._by_subject[subject] = self._by_id[key.id] = key
            return found

    def find(self, key_id: bytes) -> SubjectKey | None:
        """As the port says."""
        return self._by_id.get(key_id)
