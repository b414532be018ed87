"""Compute the SCRAM verifier that PostgreSQL stores, so that no statement contains a password.

The server logs `CREATE ROLE … PASSWORD 'text'` as it was sent. It accepts a SCRAM-SHA-256 verifier instead (RFC 5802,
section 3, and RFC 7677) and stores it unchanged. No library in use computes verifiers; this needs a few hashes of the
standard library, in the server's format: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import Final

ITERATIONS: Final = 4096
"""RFC 7677, section 4, and the server's default. The password has 256 random bits, so more iterations would add
nothing."""
SALT_BYTES: Final = 16


def scram_verifier(password: str, salt: bytes) -> str:
    """Return the verifier of a password of printable ASCII, which SASLprep leaves unchanged. Raises ValueError for any
    other."""
    if not password.isascii() or not password.isprintable() or not password:
        raise ValueError("a password of printable ASCII is wanted")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _text(octets: bytes) -> str:
    return b64encode(octets).decode()
