"""At a start: a store of subject keys that knows none of the log's newest keys is not the store of this log."""

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
    """Raises Unavailable (`subject_keys.lost`) when newest entries are sealed and there is a key for none of them.

    Going on would give the same people other pseudonyms, and a backup could no longer be put back without losing keys.
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
