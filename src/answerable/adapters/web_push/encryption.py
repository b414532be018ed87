"""Encrypt one message for one device: RFC 8291, over the `aes128gcm` encoding of RFC 8188, in one record.

Every step is one call of `cryptography`, in the order of RFC 8291, section 3.4; the tests contain the vector of its
appendix A.
"""

from __future__ import annotations

import os
import struct
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_BYTES: Final = 4_096
SALT_BYTES: Final = 16
_LAST_RECORD: Final = b"\x02"


def encrypted(plaintext: bytes, *, key: bytes, secret: bytes) -> bytes:
    """Return the encrypted body for the device with this key and secret, with a new key pair and salt."""
    return sealed_with(
        plaintext,
        key=key,
        secret=secret,
        private=ec.generate_private_key(ec.SECP256R1()),
        salt=os.urandom(SALT_BYTES),
    )


def sealed_with(
    plaintext: bytes, *, key: bytes, secret: bytes, private: ec.EllipticCurvePrivateKey, salt: bytes
) -> bytes:
    """Encrypt like `encrypted`, with this key pair and salt, which must be used for one message only."""
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    ours = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = private.exchange(ec.ECDH(), theirs)
    material = _derived(shared, salt=secret, label=b"WebPush: info\x00" + key + ours, count=32)
    content_key = _derived(material, salt=salt, label=b"Content-Encoding: aes128gcm\x00", count=16)
    nonce = _derived(material, salt=salt, label=b"Content-Encoding: nonce\x00", count=12)
    header = salt + struct.pack("!LB", RECORD_BYTES, len(ours)) + ours
    return header + AESGCM(content_key).encrypt(nonce, plaintext + _LAST_RECORD, b"")


def _derived(material: bytes, *, salt: bytes, label: bytes, count: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=count, salt=salt, info=label).derive(material)
