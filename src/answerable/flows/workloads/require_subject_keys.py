"""Check at start that the store of subject keys belongs to this log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.ledger.subject_key import key_id_of, sections_of
from answerable.errors import Malformed
from answerable.errors.codes.ledger import SUBJECT_KEYS_LOST

if TYPE_CHECKING:
    from answerable.ports.ledger import Ledger
    from answerable.ports.subject_keys import SubjectKeys

ENTRIES_LOOKED_AT: Final = 256


def require_subject_keys(ledger: Ledger, keys: SubjectKeys) -> None:
    """Raise Unavailable (`subject_keys.lost`) if the newest entries are sealed and none of their keys is in the store.

    With a wrong store the same people would get other pseudonyms, and a backup could not be restored without losing
    keys.
    """
    sealed = False
    for stored in ledger.replay(max(0, ledger.size - ENTRIES_LOOKED_AT)):
        try:
            key_ids = [key_id_of(one) for one in sections_of(stored.attachment)]
        except Malformed:
            continue
        if any(keys.find(one) is not None for one in key_ids):
            return
        sealed = True
    if sealed:
        raise SUBJECT_KEYS_LOST()
