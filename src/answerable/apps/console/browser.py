"""Identify a request's browser by its User-Agent and address."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

TEXT_CHARS_MAX: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """A browser. text: the User-Agent, cut. mark: hash of the whole User-Agent, hex. address: of the connection; behind
    a proxy, the proxy's."""

    text: str
    mark: str
    address: str


def browser_of(request: Request) -> Browser:
    """Return the browser of a request. The User-Agent is no secret: a thief of a cookie can copy it too, but must know
    it."""
    says = request.headers.get("user-agent", "")
    client = request.client
    return Browser(
        text=says[:TEXT_CHARS_MAX],
        mark=sha256(says.encode("utf-8", "replace")).hexdigest(),
        address=client.host if client is not None else "",
    )
