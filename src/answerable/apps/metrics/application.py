"""Serve `GET /metrics` as an ASGI application.

Any process on this machine may read the metrics; web pages may not: the `Host` must be a loopback name (protects
against DNS rebinding). The metrics contain no names of people or agents.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import Response

from answerable.errors import AnswerableError
from answerable.wiring.plain_route import PlainRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

PATH: Final = "/metrics"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_AUTHORITY: Final = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_PLAIN: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsServices:
    """The dependencies. text: returns the current metrics."""

    text: Callable[[], Awaitable[bytes]]
    content_type: str


def metrics_app(needs: MetricsServices) -> Starlette:
    """Return the application with its one route."""

    async def metrics(request: Request) -> Response:
        host = _AUTHORITY.fullmatch(request.headers.get("host", ""))
        if host is None or host[1] not in LOOPBACK or "origin" in request.headers:
            return Response("not a name of ours\n", status_code=421, headers=_PLAIN)
        try:
            text = await needs.text()
        except AnswerableError as error:
            _log.warning("%s: %s", error.code, error.message)
            return Response("no metrics just now\n", status_code=503, headers=_PLAIN)
        return Response(text, headers={**_PLAIN, "content-type": needs.content_type})

    return Starlette(routes=[PlainRoute(PATH, metrics)])
