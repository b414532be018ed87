"""Base64url as in JOSE: unpadded, with exactly one encoding. Source: RFC 4648 section 5, RFC 7515 section 2."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import b2a_base64
from typing import Final

_CHARS_OF_32: Final = 43
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def to_base64url(octets: bytes) -> str:
    """Encode as in RFC 4648 section 5, without padding."""
    return b2a_base64(octets, newline=False).translate(_URL_SAFE).rstrip(b"=").decode("ascii")


def from_base64url_32(text: str) -> bytes | None:
    """Decode 32 bytes from their 43 characters; None unless `to_base64url` would write exactly these."""
    if len(text) != _CHARS_OF_32 or not text.isascii():
        return None
    try:
        octets = urlsafe_b64decode(text + "=")
    except ValueError:
        return None
    return octets if to_base64url(octets) == text else None
