"""Recognise a browser in which somebody has signed in before, by a cookie that opens nothing.

Attempts to sign in are counted by address, and those of a known browser by its cookie: so a process on the same
machine, or whoever comes through the same proxy, cannot use up the attempts of people who sign in here. The cookie says
nothing of the person. Whoever takes it can only use up the attempts of that browser.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import from_base64url_32, to_base64url

if TYPE_CHECKING:
    from starlette.requests import Request

    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy

COOKIE: Final = "__Host-answerable-browser"
KNOWN_SECONDS: Final = 90 * 86_400
SECRET_BYTES: Final = 32
_CHARS_MAX: Final = 128


class KnownBrowsers:
    """The browsers of this console, which are not stored: each cookie is authenticated with the secret."""

    def __init__(self, secret: bytes, clock: Clock, entropy: Entropy) -> None:
        """secret: of at least `SECRET_BYTES`; empty for one of this process, which no restart remembers."""
        self._secret = secret or entropy.bytes(SECRET_BYTES)
        self._clock, self._entropy = clock, entropy

    def find(self, request: Request) -> str:
        """Return the id of a known browser; empty for a stranger, and for a cookie that is forged or too old."""
        value = request.cookies.get(COOKIE, "")
        name, _, rest = value.partition(".")
        since, _, mac = rest.partition(".")
        if len(value) > _CHARS_MAX or not (since.isascii() and since.isdecimal()):
            return ""
        if from_base64url_32(name) is None or not hmac.compare_digest(
            self._mac(name, since).encode(), mac.encode("utf-8", "replace")
        ):
            return ""
        return name if 0 <= self._clock.now() // 1000 - int(since) < KNOWN_SECONDS else ""

    def cookie_for(self, request: Request) -> str:
        """Return the cookie by which the browser of this request is known from now on: the same one, renewed."""
        name = self.find(request) or to_base64url(self._entropy.bytes(SECRET_BYTES))
        since = str(self._clock.now() // 1000)
        return f"{name}.{since}.{self._mac(name, since)}"

    def _mac(self, name: str, since: str) -> str:
        return to_base64url(hmac.new(self._secret, f"{COOKIE} {name} {since}".encode(), sha256).digest())
