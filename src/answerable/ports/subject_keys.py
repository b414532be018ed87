"""Port: the keys under which personal data in the ledger is sealed, one for each subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.ledger.subject_key import SubjectKey


class SubjectKeys(Protocol):
    """Promises: a subject has one key, for good, whoever asks and however often; a key is on stable storage before `of`
    first returns it, so that nothing is ever sealed under a key that a crash could take away; the store tells nobody
    which subjects it knows.

    A known key is found without I/O. Raises only Unavailable: `register.*`, `subject_keys.corrupt`.
    """

    def of(self, subject: str) -> SubjectKey:
        """The subject's key, made now when there is none."""
        ...

    def find(self, key_id: bytes) -> SubjectKey | None:
        """The key of this id, as attachments name it, or None when there is none, it was destroyed, or it
        cannot be read."""
        ...
