"""From which browser a request comes, as far as one says so itself, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

TEXT_CHARS_MAX: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """text: what it calls itself, cut. mark: hash of all of that, hex. address: where the connection comes from; behind
    a proxy that of the proxy."""

    text: str
    mark: str
    address: str


def browser_of(request: Request) -> Browser:
    """What one browser says in every request. Whoever copied a cookie can copy this too, and has to know it."""
    says = request.headers.get("user-agent", "")
    client = request.client
    return Browser(
        text=says[:TEXT_CHARS_MAX],
        mark=sha256(says.encode("utf-8", "replace")).hexdigest(),
        address=client.host if client is not None else "",
    )
