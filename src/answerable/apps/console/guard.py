"""Check every console request before a page handles it, and set the headers of every response.

The `Host` field must be that of the console's origin (protects against DNS rebinding), every change must come from a
page of that origin, and no site may frame the console.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

import anyio
from starlette.requests import ClientDisconnect

from answerable.core.canonical import Limits, parse
from answerable.errors import shown
from answerable.errors.codes.services import (
    CONSOLE_HOST,
    CONSOLE_METHOD,
    CONSOLE_ORIGIN,
    CONSOLE_TOO_MANY,
    HTTP_LEFT,
    REQUEST_BODY,
    REQUEST_MEDIA_TYPE,
    REQUEST_SIZE,
    REQUEST_SLOW,
)

if TYPE_CHECKING:
    from starlette.requests import Request

    from answerable.apps.console.services import ConsoleLimits, ConsoleServices
    from answerable.core.canonical import JSONValue
    from answerable.ports.clock import Clock

SOURCES_MAX: Final = 10_000
FIELDS_MAX: Final = 20
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_SAME: Final = frozenset({"same-origin"})
_NAVIGATIONS: Final = frozenset({"same-origin", "none", "same-site", "cross-site"})

HEADERS: Final = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "
    "publickey-credentials-create=(self), publickey-credentials-get=(self)",
    # Not `no-referrer`: browsers would send `Origin: null` with the console's own forms and be refused. Other sites
    # receive no referrer.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def security_policy(nonce: str) -> str:
    """Return the Content-Security-Policy of a page. nonce: for its own scripts and htmx attributes."""
    return (
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
        "require-trusted-types-for 'script'; trusted-types htmx answerable-worker"
    )


def check_request(needs: ConsoleServices, request: Request) -> None:
    """Check the host, method and origin of a request. Raises Malformed (`console.host`, `console.method`) and Refused
    (`console.origin`)."""
    if request.headers.getlist("host") != [urlsplit(needs.origin).netloc]:
        raise CONSOLE_HOST(f"this console is at {needs.origin}; no other host name is served")
    came_from = request.headers.get("sec-fetch-site", "")
    if request.method in SAFE_METHODS:
        if came_from and came_from not in _NAVIGATIONS:
            raise CONSOLE_ORIGIN("the `Sec-Fetch-Site` header has an unknown value")
        return
    if request.method != "POST":
        raise CONSOLE_METHOD(f"{shown(request.method, 20)} is not a method of this console")
    # Browsers send Origin with every POST: a request without it is not from a browser, or hides its origin.
    if request.headers.getlist("origin") != [needs.origin] or (came_from and came_from not in _SAME):
        raise CONSOLE_ORIGIN("the request did not come from a page of this console: repeat it there")


async def body_of(request: Request, limits: ConsoleLimits) -> bytes:
    """Return the body, reading at most the allowed bytes and time. Raises Malformed (`request.size`, `request.slow`,
    `http.left`)."""
    received = bytearray()
    with anyio.move_on_after(limits.body_seconds_max) as reading:
        try:
            async for chunk in request.stream():
                received += chunk
                if len(received) > limits.body_bytes_max:
                    raise REQUEST_SIZE(f"the body has more than {limits.body_bytes_max} bytes")
        except ClientDisconnect:
            raise HTTP_LEFT() from None
    if reading.cancelled_caught:
        raise REQUEST_SLOW(f"the body took longer than {limits.body_seconds_max:g} seconds")
    return bytes(received)


async def form_of(request: Request, limits: ConsoleLimits) -> dict[str, str]:
    """Return the fields of a form, each of which may occur once. Raises Malformed (`request.*`)."""
    _check_type(request, "application/x-www-form-urlencoded")
    body = await body_of(request, limits)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=FIELDS_MAX,
            errors="strict",
        )  # fmt: skip
    except ValueError:
        raise REQUEST_BODY("the form cannot be read") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise REQUEST_BODY(f"field {shown(name, 40)} is given twice")
        found[name] = value
    return found


async def json_of(request: Request, limits: ConsoleLimits) -> dict[str, JSONValue]:
    """Return the JSON object in a body. Raises Malformed (`request.*`, `json.*`)."""
    _check_type(request, "application/json")
    found = parse(
        await body_of(request, limits), limits=Limits(size_bytes_max=limits.body_bytes_max, depth_max=8)
    )
    if not isinstance(found, dict):
        raise REQUEST_BODY("the body must be a JSON object")
    return found


def next_page(wanted: str) -> str:
    """Return the page to open after signing in: `wanted` if it is a path of this console, or else the first page."""
    plain = wanted.isascii() and wanted.isprintable() and len(wanted) <= 500
    local = (
        wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and "#" not in wanted
    )
    return wanted if plain and local else "/"


class Attempts:
    """Count the sign-in attempts of each source in the last minute."""

    def __init__(self, clock: Clock, per_minute_max: int) -> None:
        self._clock = clock
        self._max = per_minute_max
        self._tries: OrderedDict[str, list[float]] = OrderedDict()

    def note(self, source: str) -> None:
        """Count one attempt. Raises Refused (`console.too_many`)."""
        now = self._clock.monotonic()
        recent = [at for at in self._tries.pop(source, []) if now - at < 60]
        if len(recent) >= self._max:
            self._tries[source] = recent
            raise CONSOLE_TOO_MANY()
        self._tries[source] = [*recent, now]
        while len(self._tries) > SOURCES_MAX:
            self._tries.popitem(last=False)


def _check_type(request: Request, expected: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != expected:
        raise REQUEST_MEDIA_TYPE(f"expected a body of type `{expected}`, got {shown(given, 60)}")
