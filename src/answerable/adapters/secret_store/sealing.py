"""Define the format of a sealed secret: a header, then AES-256-GCM over its record and the values of its versions.

    "ans-secret-1" LF | key id (8) | nonce (12) | ciphertext and tag

The header and the secret's name are authenticated, so that one file cannot replace another.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from answerable.adapters.secret_store.keyring import KEY_ID_BYTES, key_id
from answerable.core.canonical import Limits, encode, parse
from answerable.core.lease.stored_secret import StoredSecret, decoded_secret, encoded_secret
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.leases import SECRETS_DAMAGED, SECRETS_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.adapters.secret_store.keyring import Keys

MAGIC: Final = b"ans-secret-1\n"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
SEALED_BYTES_MAX: Final = 4_194_304
_HEADER_BYTES: Final = len(MAGIC) + KEY_ID_BYTES
_LIMITS: Final = Limits(size_bytes_max=SEALED_BYTES_MAX)

Values = dict[int, bytes]
"""The value of each version that is still stored, by number."""
PREPARED: Final = 0
"""Number of the prepared version, which becomes the next one."""


def sealed(secret: StoredSecret, values: Mapping[int, bytes], keys: Keys, nonce: bytes) -> bytes:
    """Return the content of a secret's file."""
    header = MAGIC + key_id(keys.sealing)
    kept = {str(number): b64encode(value).decode() for number, value in values.items()}
    plain = encode({"secret": encoded_secret(secret), "values": {**kept}})
    return header + nonce + AESGCM(keys.sealing).encrypt(nonce, plain, header + secret.name.encode())


def opened(content: bytes, name: str, keys: Keys) -> tuple[StoredSecret, Values]:
    """Decrypt a secret's file. Raises Unavailable: `secrets.key` if the key is unknown, `secrets.damaged`."""
    if len(content) < _HEADER_BYTES + NONCE_BYTES + TAG_BYTES or not content.startswith(MAGIC):
        raise _damaged(name)
    identity = content[len(MAGIC) : _HEADER_BYTES]
    key = keys.named(identity)
    if key is None:
        raise SECRETS_KEY(
            f"secret {shown(name)} is sealed with key {identity.hex()}, which is not in the "
            "keyring: restore that keyring"
        )
    nonce = content[_HEADER_BYTES : _HEADER_BYTES + NONCE_BYTES]
    try:
        plain = AESGCM(key).decrypt(
            nonce, content[_HEADER_BYTES + NONCE_BYTES :], content[:_HEADER_BYTES] + name.encode()
        )
        record = parse(plain, limits=_LIMITS)
        if not isinstance(record, dict) or set(record) != {"secret", "values"}:
            raise TypeError
        secret, kept = decoded_secret(record["secret"]), record["values"]
        if not isinstance(kept, dict) or secret.name != name:
            raise TypeError
        values = {int(number): b64decode(str(value), validate=True) for number, value in kept.items()}
    except (InvalidTag, Malformed, TypeError, ValueError, BadBase64):
        raise _damaged(name) from None
    return secret, values


def _damaged(name: str) -> Unavailable:
    return SECRETS_DAMAGED(
        f"secret {shown(name)} was changed or damaged outside the store: restore it from a backup"
    )
