"""Load the key that signs events from a file (PKCS #8 in PEM, mode 0600); create it on the first start that needs
it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from answerable.adapters.local_keys.secret import create_secret
from answerable.core.identity.keys.event_key import BITS, EXPONENT, EventKey
from answerable.errors import Malformed
from answerable.errors.codes.identity import KEY_KIND, KEY_UNREADABLE, KEY_UNWRITABLE
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.entropy import Entropy

FILE_BYTES_MAX = 16_384


def open_or_create_event_key(path: Path, *, entropy: Entropy) -> EventKey:
    """Return the key in this file, and create it if it does not exist. Processes that race to create it all get the
    same key.

    entropy: for the name of the draft; OpenSSL generates the key. Raises Unavailable: `key.unwritable`;
    `key.unreadable` for an invalid key or one that other users may read.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            create_secret(path, _fresh(), draft=path.with_name(f".{path.name}.{entropy.token()}"))
        with open_plain(path, follow=False) as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KEY_UNWRITABLE(
            f"the key `{path.name}` cannot be created or read: {(error.strerror or 'unknown error').lower()}"
        ) from None
    try:
        if stat.S_IMODE(mode) & 0o077:
            raise KEY_KIND("other users can read the key: set mode 0600")
        return EventKey(content)
    except Malformed as fault:
        raise KEY_UNREADABLE(f"the key `{path.name}` cannot be used: {fault.message}") from None


def _fresh() -> bytes:
    key = rsa.generate_private_key(public_exponent=EXPONENT, key_size=BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
