"""Publish the public keys of a witness in a file that everybody may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.witness_files import files
from answerable.core.tlog.note import VerifierKey
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.tlog import WITNESS_KEY_UNKNOWN, WITNESS_UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PUBLIC: Final = "witness.pub"
PUBLIC_MODE: Final = 0o644
PUBLIC_BYTES_MAX: Final = 16_384
"""An ML-DSA-44 key takes 1,800 bytes."""


def publish_keys(directory: Path, keys: Iterable[VerifierKey]) -> None:
    """Write the keys, one vkey a line, the preferred one first. Raises Unavailable (`witness.unwritable`)."""
    content = "".join(f"{key.formatted()}\n" for key in keys).encode()
    path = directory / PUBLIC
    try:
        files.make_directory(directory)
        if files.read_at_most(path, PUBLIC_BYTES_MAX) != content:
            files.replace(path, content, PUBLIC_MODE)
    except OSError as error:
        raise WITNESS_UNWRITABLE(
            f"the public keys of the witness cannot be written: {(error.strerror or 'unknown fault').lower()}"
        ) from None


def published_keys(directory: Path) -> tuple[VerifierKey, ...]:
    """Return the keys of the witness in this directory. Raises Unavailable (`witness.key_unknown`)."""
    try:
        content = files.read_at_most(directory / PUBLIC, PUBLIC_BYTES_MAX)
    except OSError as error:
        raise _unknown((error.strerror or "unknown fault").lower()) from None
    if content is None:
        raise _unknown("there is none yet: it is made when the witness first starts")
    try:
        keys = tuple(VerifierKey.parse(line) for line in content.decode("utf-8", "replace").splitlines())
    except Malformed as error:
        raise _unknown(error.message) from None
    if not keys:
        raise _unknown("the file is empty")
    return keys


def _unknown(why: str) -> Unavailable:
    return WITNESS_KEY_UNKNOWN(f"the key of the local witness cannot be used: {why}")
