"""Render pages from templates that escape every value, and serve assets that browsers may cache forever under their
digest."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from answerable.apps.console.guard import HEADERS, security_policy
from answerable.core.approval.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from answerable.apps.console.sessions import Session

NONCE_BYTES: Final = 16
CUT_CHARS: Final = 300
ASSETS: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "passkeys.js": "text/javascript; charset=utf-8",
    "devices.js": "text/javascript; charset=utf-8",
    "duty.js": "text/javascript; charset=utf-8",
    "groups.js": "text/javascript; charset=utf-8",
    "worker.js": "text/javascript; charset=utf-8",
    "htmx-4.0.1.min.js": "text/javascript; charset=utf-8",
    "hx-csp-4.0.1.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""htmx and its extension are third-party files, unchanged: see htmx-LICENSE.txt beside them."""


def shown_text(value: object, limit: int = CUT_CHARS) -> str:
    """Return text from others for display: non-printable characters are spelled out, and long text is cut."""
    text = str(value)
    return visible(text) if len(text) <= limit else f"{visible(text[:limit])}…"


def cut(text: str, limit: int) -> str:
    """Cut a card's text. A card's text is already spelled out, and spelling it out twice would escape the escapes."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def ago(milliseconds: int, now: int) -> str:
    """Return the distance to a time, past or future, in one unit."""
    seconds = abs(now - milliseconds) // 1000
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def moment(milliseconds: int) -> str:
    """Return a time in UTC, to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(milliseconds: int) -> str:
    """Return a time in machine-readable form (ISO 8601)."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


@cache
def environment() -> Environment:
    """Return the template environment: it escapes every value, and an undefined name is an error, not an empty text."""
    made = Environment(
        loader=PackageLoader("answerable.apps.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(shown=shown_text, cut=cut, ago=ago, moment=moment, iso=iso)
    made.globals["asset"] = asset_path
    return made


@cache
def asset(name: str) -> tuple[bytes, bytes, str]:
    """Return an asset's content, the same compressed, and its digest. Raises KeyError for an unknown name."""
    if name not in ASSETS:
        raise KeyError(name)
    content = files("answerable.apps.console").joinpath("assets", name).read_bytes()
    return content, gzip.compress(content, mtime=0), sha256(content).hexdigest()[:16]


def asset_path(name: str) -> str:
    """Return the path of an asset; other content gets another path."""
    return f"/assets/{asset(name)[2]}/{name}"


def asset_answer(request: Request) -> Response:
    """Serve an asset under its digest. It contains no personal data, so it may be compressed and cached."""
    name, digest = request.path_params["name"], request.path_params["digest"]
    try:
        content, compressed, own = asset(name)
    except KeyError:
        own = ""
    if not own or digest != own:
        return Response("there is no such file here\n", status_code=404, headers=HEADERS)
    headers = {**HEADERS, "cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}
    headers["content-security-policy"] = "default-src 'none'; frame-ancestors 'none'"
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        content = compressed
    return Response(content, media_type=ASSETS[name], headers=headers)


def page(
    template: str,
    context: Mapping[str, Any],
    *,
    nonce: str,
    session: Session | None = None,
    status: int = 200,
) -> Response:
    """Return a page, or a part of a page."""
    text = environment().get_template(template).render({"nonce": nonce, "session": session, **context})
    headers = {**HEADERS, "content-security-policy": security_policy(nonce)}
    return HTMLResponse(text, status_code=status, headers=headers)
