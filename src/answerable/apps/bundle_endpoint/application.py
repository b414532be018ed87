"""Serve the SPIFFE bundle endpoint as an ASGI application (SPIFFE Federation, section 5): one route, no client
authentication.

The standard forbids authenticating clients. The content is public, bounded in size and the same for every client.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import Response

from answerable.errors import AnswerableError
from answerable.wiring.plain_route import PlainRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

PATH: Final = "/bundle.json"

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleServices:
    """The endpoint's dependencies; both callables are fast and do no I/O.

    document: returns this server's bundle as JSON. refresh_hint_seconds: returns the refresh hint stated in the bundle.
    """

    document: Callable[[], bytes]
    refresh_hint_seconds: Callable[[], int]


def bundle_endpoint_app(needs: BundleServices, *, path: str = PATH) -> Starlette:
    """Return the application that answers `GET` and `HEAD` at one path. Caches may store the response for one refresh
    hint, as long as clients may."""

    async def bundle(_request: Request) -> Response:
        try:
            document, seconds = needs.document(), needs.refresh_hint_seconds()
        except AnswerableError as error:
            _log.warning("%s: %s", error.code, error.message)
            return Response("no bundle just now\n", status_code=503, headers={"cache-control": "no-store"})
        headers = {
            "content-type": "application/json",
            "cache-control": f"public, max-age={seconds}",
            "x-content-type-options": "nosniff",
        }
        return Response(document, headers=headers)

    return Starlette(routes=[PlainRoute(path, bundle)])
