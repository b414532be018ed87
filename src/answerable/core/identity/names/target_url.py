"""Normalise the URL of a request: scheme, authority and path after RFC 3986, sections 6.2.2 and 6.2.3.

Laws:
- two texts that name the same target give the same result, and whatever could be read in two ways is refused: user
 information, a query or fragment, an escaped host, a port with leading zeros, a character that no URL may contain;
- an escaped slash stays escaped, since it is not a separator (section 2.2).
"""

from __future__ import annotations

import re
from typing import Final

from answerable.errors import shown
from answerable.errors.codes.documents import URL_MALFORMED

URL_CHARS_MAX: Final = 2048
PORT_MAX: Final = 65_535

_PCHAR: Final = r"[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}"
_PATH: Final = re.compile(rf"(?:/(?:{_PCHAR})*)?")
_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4})?)?"
    rf"(?P<path>(?:/(?:{_PCHAR})*)?)",
    re.IGNORECASE | re.ASCII,  # Without ASCII, `ſ` would be an `s` and the Kelvin sign a `k`.
)
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def normal_url(url: str) -> str:
    """Normalise an http or https URL without query. Raises Malformed (`url.malformed`)."""
    if len(url) > URL_CHARS_MAX:
        raise URL_MALFORMED(f"a URL has at most {URL_CHARS_MAX} characters, got {len(url)}")
    found = _URL.fullmatch(url)
    if found is None or (found["port"] and int(found["port"]) > PORT_MAX):
        raise URL_MALFORMED(
            f"expected `http(s)://HOST[:PORT]/PATH` without user, query and fragment, got {shown(url)}"
        )
    scheme = found["scheme"].lower()
    port = found["port"]
    authority = found["host"].lower() + (f":{port}" if port and port != _DEFAULT_PORTS[scheme] else "")
    return f"{scheme}://{authority}{normal_path(found['path'])}"


def normal_path(path: str) -> str:
    """Normalise a path: escapes in upper case and only where needed, no dot segments, `/` for an empty path.

    Raises Malformed (`url.malformed`) for text that is not a path or does not begin with a slash.
    """
    if _PATH.fullmatch(path) is None:
        raise URL_MALFORMED(f"{shown(path)} is not the path of a URL")
    unescaped = _ESCAPE.sub(_only_where_needed, path)
    return _without_dot_segments(unescaped) if "/." in unescaped else unescaped or "/"


def _only_where_needed(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _without_dot_segments(path: str) -> str:
    """Remove dot segments (RFC 3986, section 5.2.4) from a path that begins with a slash."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
