"""The control API as an ASGI application: check the caller, read the request, run the operation, render the answer."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final, cast

from msgspec import to_builtins
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from answerable.apps.control_api.call import Call
from answerable.apps.control_api.openapi import openapi_document
from answerable.apps.control_api.operations import OPERATIONS
from answerable.apps.control_api.peer import NOT_LET_IN, caller_of
from answerable.apps.control_api.problems import problem_of
from answerable.core.canonical import Limits, parse
from answerable.core.identity.proof.door_refusal import sender_of, untold
from answerable.errors import AnswerableError, Broken, shown
from answerable.errors.codes.services import (
    CONTROL_FAILED,
    REQUEST_MEDIA_TYPE,
    REQUEST_METHOD,
    REQUEST_PATH_UNKNOWN,
    REQUEST_QUERY,
)
from answerable.wiring.guarded_request import body_within
from answerable.wiring.plain_route import PlainRoute
from answerable.wiring.problem_details import PROBLEM_MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from answerable.apps.control_api.operation import Operation
    from answerable.apps.control_api.product import Product
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.door_refusal import TellRefused

BODY_BYTES_MAX: Final = 4_194_304
"""Longest body unless the settings say otherwise."""
BODY_SECONDS_MAX: Final = 10.0
"""Longest time to receive a body."""

_log: Final = logging.getLogger("answerable.control")


def control_app(
    product: Product,
    *,
    body_bytes_max: int = BODY_BYTES_MAX,
    body_seconds_max: float = BODY_SECONDS_MAX,
    refused: TellRefused = untold,
) -> Starlette:
    """Return the application with every operation of the route table. Every request gets a response; no exception
    escapes. refused: called for every caller that is refused."""
    limits = Limits(size_bytes_max=body_bytes_max)
    return Starlette(
        routes=[
            PlainRoute(
                _matched(row.path),
                _endpoint(row, product, limits, body_seconds_max, refused),
                method=row.method,
            )
            for row in OPERATIONS
        ]
        + [PlainRoute("/v1/openapi.json", _described)],
        exception_handlers={HTTPException: _no_route},
    )


def _matched(path: str) -> str:
    """Return the path for the router: a name of anything may contain slashes, as SPIFFE IDs and resources do."""
    for names in ("/timeline/", "/names/"):
        path = path.replace(f"{names}{{name}}", f"{names}{{name:path}}")
    return path


def _endpoint(
    operation: Operation, product: Product, limits: Limits, seconds_max: float, refused: TellRefused
) -> Callable[[Request], Awaitable[Response]]:
    allowed = {name for name, _, _ in operation.query} | ({"limit", "cursor"} if operation.page else set())

    async def endpoint(request: Request) -> Response:
        try:
            by = caller_of(request.scope)
            body = await _body(request, limits, seconds_max) if operation.body else None
            call = Call(
                product=product,
                by=by,
                path=request.path_params,
                query=_query(request, allowed),
                body=body,
            )
            if operation.body == "Nothing":
                call.members()
            return _answered(200, await operation.run(call))
        except AnswerableError as error:
            if isinstance(error, Broken):
                _log.error("%s: %s", error.code, error.message)
            if error.code == NOT_LET_IN:
                refused(error, sender_of(request.scope))
            return _problem(error)
        except Exception:
            # The caller learns that the operation failed, the operator learns why.
            _log.exception("operation %s failed", operation.id)
            return _problem(CONTROL_FAILED())

    return endpoint


async def _described(request: Request) -> Response:
    """Return the OpenAPI document of this API."""
    try:
        caller_of(request.scope)
    except AnswerableError as error:
        return _problem(error)
    return _answered(200, openapi_document())


def _query(request: Request, allowed: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            raise REQUEST_QUERY(f"query parameter {shown(name)} is not known here")
        if name in found:
            raise REQUEST_QUERY(f"query parameter {shown(name)} is given twice")
        found[name] = value
    return found


async def _body(request: Request, limits: Limits, seconds_max: float) -> JSONValue:
    """Return the body, read up to its limits and parsed strictly. An absent body is an empty object."""
    received = await body_within(request, bytes_max=limits.size_bytes_max, seconds_max=seconds_max)
    if not received:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise REQUEST_MEDIA_TYPE(f"expected a body of type `application/json`, got {shown(media_type)}")
    return parse(received, limits=limits)


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == 405:
        answer = _problem(REQUEST_METHOD(f"{request.method} is not a method of {shown(request.url.path)}"))
        # RFC 9110, section 15.5.6: a 405 lists the allowed methods.
        answer.headers["allow"] = ", ".join(sorted(_methods(request)))
        return answer
    return _problem(REQUEST_PATH_UNKNOWN(f"there is no {shown(request.url.path)} here"))


def _methods(request: Request) -> set[str]:
    """Return the methods of the requested path, over all its routes."""
    routes = cast("list[PlainRoute]", request.app.routes)
    return {
        name
        for route in routes
        if route.matches(request.scope)[0] is not Match.NONE
        for name in route.methods
    }


def _answered(status: int, value: object, media_type: str = "application/json") -> Response:
    # Escaped to ASCII: text from an upstream may contain characters that UTF-8 cannot encode (lone surrogates).
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), default=to_builtins)
    return Response(
        text.encode("ascii"), status_code=status, media_type=media_type, headers={"cache-control": "no-store"}
    )


def _problem(error: AnswerableError) -> Response:
    status, body = problem_of(error)
    return _answered(status, body, PROBLEM_MEDIA_TYPE)
