"""Serve enrolment as an ASGI application: bound each request, parse it strictly, verify its proof, answer it.

`docs/reference/wire/enrolment.md` is the specification. Wiring routes paths below `needs.PREFIX` to this application.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response

from answerable.apps.enrolment.desk import Asked, EnrolmentDesk, Known
from answerable.apps.enrolment.problems import problem_of
from answerable.apps.enrolment.services import PREFIX
from answerable.core.identity.proof.door_refusal import sender_of
from answerable.core.identity.svid.trust_bundle import encoded_bundle
from answerable.errors import AnswerableError, Broken, Unverified, shown
from answerable.errors.codes.identity import BUNDLE_NONE
from answerable.errors.codes.services import HTTP_TARGET, REQUEST_MEDIA_TYPE, REQUEST_QUERY
from answerable.errors.codes.workloads import ENROLMENT_FAILED
from answerable.wiring.guarded_request import body_within, channel_of, check_host, route_fault
from answerable.wiring.plain_route import PlainRoute
from answerable.wiring.problem_details import PROBLEM_MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request as HttpRequest

    from answerable.apps.enrolment.services import EnrolmentServices
    from answerable.core.canonical import JSONValue


_log: Final = logging.getLogger("answerable.enrolment")


def enrolment_app(needs: EnrolmentServices) -> Starlette:
    """Return the application with every enrolment path. Every request gets a response; no exception escapes."""
    desk = EnrolmentDesk(needs)
    acts: dict[str, Callable[[Asked], Awaitable[dict[str, JSONValue]]]] = {
        "enrol": desk.enrol,
        "renew": desk.renew,
        "sub-agents": desk.enrol_sub_agent,
        "end": desk.end,
        "stop": desk.stop,
    }
    routes = [PlainRoute(PREFIX + name, _endpoint(needs, act), method="POST") for name, act in acts.items()]
    routes.append(PlainRoute(PREFIX + "challenge", _endpoint(needs, desk.challenge)))
    routes.append(PlainRoute(PREFIX + "bundle", _bundle(needs)))
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


def _endpoint(
    needs: EnrolmentServices, act: Callable[[Asked], Awaitable[dict[str, JSONValue]]]
) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def endpoint(request: HttpRequest) -> Response:
        known = Known()
        try:
            check_host(request, needs.hosts)
            body = await _body(needs, request)
            asked = Asked(
                method=request.method,
                target=_target(request),
                headers=tuple(request.scope["headers"]),
                body=body,
                channel=channel_of(request),
                known=known,
            )
            return _answered(200, await act(asked))
        except Exception as error:
            if isinstance(error, AnswerableError):
                needs.refused(error, sender_of(request.scope), agent=known.agent, key=known.key)
            return _failed(needs, error)

    return endpoint


def _bundle(needs: EnrolmentServices) -> Callable[[HttpRequest], Awaitable[Response]]:
    """Return the bundle endpoint of this trust domain (SPIFFE Federation, section 5). It is public, as bundles are."""

    async def endpoint(request: HttpRequest) -> Response:
        try:
            check_host(request, needs.hosts)
            trust = needs.workloads.trust
            bundle = trust.bundle(trust.domain)
            if bundle is None:
                raise BUNDLE_NONE()
            return Response(encoded_bundle(bundle), media_type="application/json")
        except Exception as error:
            return _failed(needs, error)

    return endpoint


def _failed(needs: EnrolmentServices, error: Exception) -> Response:
    if not isinstance(error, AnswerableError):
        # The caller learns that the request failed, the operator learns why.
        _log.error("a request failed", exc_info=error)
        error = ENROLMENT_FAILED()
    elif isinstance(error, Broken):
        _log.error("%s: %s", error.code, error.message)
    status, body = problem_of(error)
    response = _answered(status, body, PROBLEM_MEDIA_TYPE)
    if isinstance(error, Unverified):
        response.headers["www-authenticate"] = needs.prover.challenge(error.step)
    if status in (429, 503):
        response.headers["retry-after"] = "1"
    return response


async def _body(needs: EnrolmentServices, request: HttpRequest) -> bytes:
    """Return the body, reading at most the allowed bytes and time."""
    received = await body_within(request, bytes_max=needs.body_bytes_max, seconds_max=needs.body_seconds_max)
    if received:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise REQUEST_MEDIA_TYPE(f"expected a body of type `application/json`, got {shown(kind)}")
    return received


def _target(request: HttpRequest) -> bytes:
    raw: Any = request.scope.get("raw_path")
    if not isinstance(raw, bytes):
        raise HTTP_TARGET("the path is missing in its raw form")
    query: bytes = request.scope.get("query_string", b"")
    if query:
        raise REQUEST_QUERY("query parameters are not accepted here")
    return raw


async def _no_route(request: HttpRequest, error: Exception) -> Response:
    status, body = problem_of(route_fault(request, error))
    return _answered(status, body, PROBLEM_MEDIA_TYPE)


def _answered(status: int, value: JSONValue, media_type: str = "application/json") -> Response:
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type=media_type,
        headers={"cache-control": "no-store"},
    )
