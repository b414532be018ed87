"""Port: the encryption keys that seal personal data in the ledger, one for each data subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.ledger.subject_key import SubjectKey


class SubjectKeys(Protocol):
    """Promises: a subject has one key, for good, whatever the callers; a key is on stable storage before `of` first
    returns it, so that no data is sealed under a key that a crash could lose; the store does not reveal which subjects
    it knows.

    A known key is found without I/O. Raises only Unavailable: `register.*`, `subject_keys.corrupt`.
    """

    def of(self, subject: str) -> SubjectKey:
        """Return the subject's key; create one when there is none."""
        ...

    def find(self, key_id: bytes) -> SubjectKey | None:
        """Return the key of this id, as attachments name it; None when unknown, destroyed, or unreadable."""
        ...
