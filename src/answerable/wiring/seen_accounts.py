"""Keep the accounts that were seen in targets' logs in one file, which whoever adds to it replaces as a whole."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.attribution.seen_account import ACCOUNTS_MAX, SeenAccount, joined
from answerable.errors import AnswerableError, shown
from answerable.errors.codes.attribution import ATTRIBUTE_SEEN, ATTRIBUTE_UNKEPT
from answerable.flows.forensics.list_accounts import Known
from answerable.plain_file import read_plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from answerable.core.lease.own_account import DeclaredTarget

SEEN: Final = "seen-accounts.json"
"""The file in the data directory, from which the server knows them."""
FILE_BYTES_MAX: Final = ACCOUNTS_MAX * 2_048
FORM: Final = 1
FILE_MODE: Final = 0o600


class _Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file. form: of the file, for later versions."""

    form: int
    accounts: list[SeenAccount]


def seen_accounts(path: Path, *, is_needed: bool = False) -> list[SeenAccount]:
    """Return the accounts in a file; none where there is no file. is_needed: there must be one. Raises Malformed
    (`attribute.seen`)."""
    try:
        content = read_plain(path, FILE_BYTES_MAX + 1)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not is_needed:
            return []
        raise ATTRIBUTE_SEEN(
            f"{shown(path)} cannot be read: {(error.strerror or 'unknown').lower()}"
        ) from None
    try:
        found = msgspec.json.decode(content, type=_Seen)
        if found.form != FORM or len(found.accounts) > ACCOUNTS_MAX:
            raise ValueError
    except ValueError:
        raise ATTRIBUTE_SEEN(
            f"{shown(path)} has no accounts that were seen in logs: move it away, and `answerable attribute --seen` "
            "makes another"
        ) from None
    return found.accounts


def keep_seen(path: Path, seen: Iterable[SeenAccount]) -> int:
    """Add accounts to the file, which is made if there is none, and return how many there were too many. Two that do so
    at once do it one after the other. Raises Malformed (`attribute.seen`, `attribute.unkept`)."""
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            accounts, dropped = joined(seen_accounts(path), seen)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(msgspec.json.encode(_Seen(FORM, accounts)))
                opened.flush()
                os.fsync(descriptor)
            os.replace(draft, path)
        finally:
            os.close(lock)
    except OSError as error:
        raise ATTRIBUTE_UNKEPT(
            f"cannot keep accounts in {shown(path)}: {(error.strerror or 'unknown').lower()}"
        ) from None
    return dropped


def known_accounts(path: Path | None, declared: tuple[DeclaredTarget, ...] | None = None) -> Known:
    """Return what is known of accounts beside the ledger. path: None for none that were seen. Never raises: a file that
    cannot be read is told."""
    try:
        return Known(declared, tuple(seen_accounts(path)) if path is not None else ())
    except AnswerableError as failed:
        return Known(declared, (), failed.message)
