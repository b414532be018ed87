"""List the encodings of a secret, to detect or hide it wherever it occurs.

Laws: the secret as it is; escaped for JSON by the encoders of several languages, for HTML and for URLs; in hexadecimal,
in UTF-16, and in base64 at any offset within a longer text. An encoding shorter than SPELLING_BYTES_MIN would match
everywhere and is left out, except the secret itself. Compression, encryption and split secrets are not detected.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from html import escape
from typing import Final

SPELLING_BYTES_MIN: Final = 8

_ESCAPE: Final = re.compile(r"\\u([0-9a-f]{4})")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def spellings_of(secret: str) -> frozenset[bytes]:
    """Return all encodings, including the secret itself."""
    plain = secret.encode()
    found = {secret.encode("utf-16-le"), secret.encode("utf-16-be")}
    found |= {plain.hex().encode(), plain.hex().upper().encode()}
    found |= _in_json(secret) | _in_html(secret) | _in_urls(plain) | _in_base64(plain)
    return frozenset({plain, *(one for one in found if len(one) >= SPELLING_BYTES_MIN)})


def _in_json(secret: str) -> set[bytes]:
    """JSON encoders differ: some escape non-ASCII, some `/`, some what is special in HTML or JavaScript."""
    usual = json.dumps(secret, ensure_ascii=False)[1:-1]
    html = "".join(f"\\u{ord(one):04x}" if one in "<>&" else one for one in usual)
    script = "".join(f"\\u{ord(one):04x}" if one in "<>&'+=" else one for one in usual)
    found = {usual, json.dumps(secret)[1:-1], usual.replace("/", "\\/"), html, script}
    # About half of the encoders write the digits of an escape in upper case.
    found |= {_ESCAPE.sub(lambda at: "\\u" + at[1].upper(), one) for one in found}
    return {one.encode() for one in found}


def _in_html(secret: str) -> set[bytes]:
    named = escape(secret)
    return {named.encode(), named.replace("&#x27;", "&#39;").replace("&quot;", "&#34;").encode()}


def _in_urls(plain: bytes) -> set[bytes]:
    """RFC 3986, section 2.1: encode everything that is not unreserved; include the variants used in paths and forms."""
    found = set()
    for form in ("%{:02X}", "%{:02x}"):
        quoted = "".join(chr(one) if one in _UNRESERVED else form.format(one) for one in plain).encode()
        slash = form.format(ord("/")).encode()
        found |= {quoted, quoted.replace(slash, b"/"), quoted.replace(b"%20", b"+")}
    return found


def _in_base64(plain: bytes) -> set[bytes]:
    found = set()
    for before in range(3):
        # Of the first and the last group use only the characters that no neighbour can change.
        first, last = (before * 8 + 5) // 6, (before + len(plain)) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            found.add(encode(bytes(before) + plain)[first:last])
    return found
