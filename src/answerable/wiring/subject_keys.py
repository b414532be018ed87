"""Open the keys that seal personal data in the ledger, with the root key stored beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite import SqliteSubjectKeys
from answerable.errors.codes.ledger import SUBJECT_KEYS_CORRUPT
from answerable.flows.workloads.require_subject_keys import require_subject_keys

if TYPE_CHECKING:
    from answerable.adapters.system import SystemEntropy
    from answerable.adapters.tlog_files import TlogFilesLedger
    from answerable.wiring.setting_tree import Settings

ROOT_BYTES: Final = 32
"""Bytes of the key that wraps the subject keys."""


def opened_subject_keys(
    settings: Settings, entropy: SystemEntropy, ledger: TlogFilesLedger
) -> SqliteSubjectKeys:
    """Open the keys. Raises Unavailable (`subject_keys.corrupt`) if the root key is missing, or the keys are not those
    of the ledger."""
    place, database = settings.data / "keys" / "subjects.key", settings.registers.subject_keys
    # Check in this order: a process that starts at the same time creates the root key first.
    if database.exists() and not place.exists():
        raise SUBJECT_KEYS_CORRUPT(
            f"the root key `{place.name}` is missing, and `{database.name}` cannot be opened without it: restore it"
        )
    root = open_or_create_secret(place, count=ROOT_BYTES, entropy=entropy)
    keys = SqliteSubjectKeys.open(database, root=root, entropy=entropy)
    try:
        require_subject_keys(ledger, keys)
    except BaseException:
        keys.close()
        raise
    return keys
