"""The bundle endpoint as an ASGI application (SPIFFE Federation, section 5): one route, and no authentication.

The standard forbids to ask clients who they are. What is served is public, bounded and the same for everybody.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from answerable.errors import AnswerableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

PATH: Final = "/bundle.json"

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleServices:
    """What this door calls, both quick and without I/O. document: our bundle as JSON. refresh_hint_seconds: in it."""

    document: Callable[[], bytes]
    refresh_hint_seconds: Callable[[], int]


def bundle_endpoint_app(needs: BundleServices, *, path: str = PATH) -> Starlette:
    """`GET` and `HEAD` of one path. Caches may keep the answer for a refresh hint, as long as clients do."""

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

    return Starlette(routes=[Route(path, bundle, methods=["GET"])])
