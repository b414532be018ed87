"""Load the server's signing keys, and create each on the first start."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from answerable.core.identity.keys.keys import SEED_BYTES
from answerable.errors import Unavailable
from answerable.errors.codes.identity import KEY_UNWRITABLE
from answerable.sdk.keyfile import create_key, load_key

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.identity.keys.keys import Algorithm, SigningKey
    from answerable.ports.entropy import Entropy

_DIRECTORY_MODE = 0o700


def open_key(path: Path) -> SigningKey:
    """Return the key in this file. Raises as `load_key` does."""
    return load_key(path)


def open_or_create_key(path: Path, *, entropy: Entropy, algorithm: Algorithm = "ed25519") -> SigningKey:
    """Return the key in this file, and create it if it does not exist. Processes that race to create it all get the
    same key.

    Missing directories are created with mode 0700. Raises as `load_key` and `create_key` do, but never because of the
    race.
    """
    try:
        return load_key(path)
    except Unavailable as error:
        if error.code != "key.missing":
            raise
    try:
        os.makedirs(path.parent, mode=_DIRECTORY_MODE, exist_ok=True)
    except OSError as error:
        raise KEY_UNWRITABLE(f"the directory of the key cannot be created: {error.strerror}") from None
    try:
        return create_key(path, seed=entropy.bytes(SEED_BYTES[algorithm]), algorithm=algorithm)
    except Unavailable as error:
        if error.code != "key.exists":
            raise
    return load_key(path)
