"""Serve a Shared Signals transmitter as an ASGI application: its endpoints call the flows on event streams.

`docs/how-to/hear-of-stops.md` describes its use. Wiring routes `/ssf/` and the well-known path to this application.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response

from answerable.apps.event_streams import metadata
from answerable.apps.event_streams.problems import problem_of
from answerable.core.canonical import Limits, parse
from answerable.core.identity.keys.compact_jws import read_compact
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.identity.proof.door_refusal import sender_of
from answerable.core.json_extent import check_extent
from answerable.core.mandate.oauth_terms import CLIENT_JWT_BEARER, CLIENT_JWT_SPIFFE
from answerable.errors import AnswerableError, Broken, Unverified, shown
from answerable.errors.codes.events import EVENT_STREAM_FAILED, EVENT_STREAM_MEMBER, EVENT_STREAM_UNKNOWN
from answerable.errors.codes.services import REQUEST_PATH_UNKNOWN
from answerable.errors.codes.tokens import CLIENT_CREDENTIAL, CLIENT_MALFORMED
from answerable.flows.events import manage_streams as streams
from answerable.flows.events.poll_events import poll_events, poll_in
from answerable.flows.tokens.authenticate_client import Asked
from answerable.wiring.guarded_request import body_within, channel_of, check_host, route_fault
from answerable.wiring.plain_route import PlainRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request as HttpRequest

    from answerable.apps.event_streams.services import EventServices
    from answerable.core.canonical import JSONValue
    from answerable.flows.tokens.authenticate_client import TokenClient

    Sent = dict[str, JSONValue]
    Act = Callable[[str, Sent, str], Awaitable[Response]]
    """Takes the receiver, the members of the body, and the stream id in the URL."""

JSON_DEPTH_MAX: Final = 8
MEMBERS_MAX: Final = 2_000
_STREAM_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_AUTHORIZATION: Final = b"authorization"
_BEARER: Final = re.compile(rb"(?i:bearer) +([A-Za-z0-9_.-]+)")
_UNKEPT: Final = {"cache-control": "no-store"}
_log: Final = logging.getLogger("answerable.events")


def event_app(needs: EventServices) -> Starlette:
    """Return the application with every path. Every request gets a response; no exception escapes."""
    door = _Door(needs)
    acts: dict[tuple[str, str], Act] = {
        (metadata.STREAMS, "POST"): door.create,
        (metadata.STREAMS, "GET"): door.read,
        (metadata.STREAMS, "PATCH"): door.update,
        (metadata.STREAMS, "PUT"): door.replace,
        (metadata.STREAMS, "DELETE"): door.delete,
        (metadata.STATUS, "GET"): door.status,
        (metadata.STATUS, "POST"): door.change_status,
        (metadata.ADD_SUBJECT, "POST"): door.add_subject,
        (metadata.REMOVE_SUBJECT, "POST"): door.remove_subject,
        (metadata.VERIFY, "POST"): door.verify,
        (metadata.POLLED, "POST"): door.poll,
    }
    routes = [PlainRoute(path, door.answered(act), method=method) for (path, method), act in acts.items()]
    routes.append(PlainRoute(metadata.METADATA, door.told(door.metadata)))
    routes.append(PlainRoute(metadata.KEYS, door.told(door.keys)))
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


class _Door:
    """The endpoints. Every method that is not a route itself raises the error family."""

    def __init__(self, needs: EventServices) -> None:
        self._needs = needs
        self._desk = needs.desk

    def answered(self, act: Act) -> Callable[[HttpRequest], Awaitable[Response]]:
        """Return an endpoint for authenticated receivers."""

        async def endpoint(request: HttpRequest) -> Response:
            client: TokenClient | None = None
            try:
                check_host(request, self._needs.hosts)
                asked = await self._asked(request)
                client = self._needs.authenticate(_by_bearer(asked))
                sent = _members(asked.body) if request.method not in ("GET", "DELETE") else {}
                return await act(str(client.agent), sent, _stream_id(request))
            except Exception as error:
                return self._failed(request, error, client)

        return endpoint

    def told(self, tell: Callable[[], Sent]) -> Callable[[HttpRequest], Awaitable[Response]]:
        """Return an endpoint for a public GET."""

        async def endpoint(request: HttpRequest) -> Response:
            try:
                check_host(request, self._needs.hosts)
                return _json(200, tell(), kept=True)
            except Exception as error:
                return self._failed(request, error, None)

        return endpoint

    def metadata(self) -> Sent:
        return metadata.transmitter_metadata(self._desk.issuer())

    def keys(self) -> Sent:
        return {"keys": [dict(key) for key in self._desk.jwks()]}

    async def create(self, receiver: str, sent: Sent, _: str) -> Response:
        return _json(201, await streams.create_stream(self._desk, receiver, sent))

    async def read(self, receiver: str, _: Sent, stream: str) -> Response:
        if stream:
            return _json(200, await streams.read_stream(self._desk, receiver, stream))
        return _json(200, await streams.read_streams(self._desk, receiver))

    async def update(self, receiver: str, sent: Sent, _: str) -> Response:
        return _json(200, await streams.change_stream(self._desk, receiver, sent, whole=False))

    async def replace(self, receiver: str, sent: Sent, _: str) -> Response:
        return _json(200, await streams.change_stream(self._desk, receiver, sent, whole=True))

    async def delete(self, receiver: str, _: Sent, stream: str) -> Response:
        await streams.delete_stream(self._desk, receiver, stream)
        return Response(status_code=204, headers=_UNKEPT)

    async def status(self, receiver: str, _: Sent, stream: str) -> Response:
        return _json(200, await streams.read_status(self._desk, receiver, stream))

    async def change_status(self, receiver: str, sent: Sent, _: str) -> Response:
        return _json(200, await streams.change_status(self._desk, receiver, sent))

    async def add_subject(self, receiver: str, sent: Sent, _: str) -> Response:
        await streams.add_subject(self._desk, receiver, sent)
        return Response(status_code=200, headers=_UNKEPT)

    async def remove_subject(self, receiver: str, sent: Sent, _: str) -> Response:
        await streams.remove_subject(self._desk, receiver, sent)
        return Response(status_code=204, headers=_UNKEPT)

    async def verify(self, receiver: str, sent: Sent, _: str) -> Response:
        await streams.verify_stream(self._desk, receiver, sent)
        return Response(status_code=204, headers=_UNKEPT)

    async def poll(self, receiver: str, sent: Sent, stream: str) -> Response:
        return _json(200, await poll_events(self._desk, receiver, stream, poll_in(sent)))

    async def _asked(self, request: HttpRequest) -> Asked:
        raw: Any = request.scope.get("raw_path")
        if not isinstance(raw, bytes):
            raise REQUEST_PATH_UNKNOWN("the path is missing in its raw form")
        query: bytes = request.scope.get("query_string") or b""
        return Asked(
            method=request.method,
            target=raw + (b"?" + query if query else b""),
            headers=tuple(request.scope["headers"]),
            body=await body_within(
                request, bytes_max=self._needs.body_bytes_max, seconds_max=self._needs.body_seconds_max
            ),
            channel=channel_of(request),
        )

    def _failed(self, request: HttpRequest, error: Exception, client: TokenClient | None) -> Response:
        if not isinstance(error, AnswerableError):
            _log.error("a request failed", exc_info=error)
            error = EVENT_STREAM_FAILED()
        elif isinstance(error, Broken):
            _log.error("%s: %s", error.code, error.message)
        known = {"agent": client.agent, "key": client.key} if client is not None else {}
        self._needs.refused(error, sender_of(request.scope), **known)
        status, body = problem_of(error)
        response = _json(status, body)
        if status == 401:
            challenge = self._needs.challenge(error.step) if isinstance(error, Unverified) else ""
            response.headers["www-authenticate"] = challenge or 'Bearer error="invalid_token"'
        if status in (429, 503):
            response.headers["retry-after"] = "10" if status == 429 else "1"
        return response


def _by_bearer(asked: Asked) -> Asked:
    """Convert a signed statement in `Authorization: Bearer` to the form that the token service takes: a single-use
    assertion under the receiver's own key, or a JWT-SVID for this service. Raises Malformed (`client.malformed`),
    Unverified."""
    given = asked.fields(_AUTHORIZATION)
    if not given:
        return asked
    match = _BEARER.fullmatch(given[0])
    if match is None or len(given) > 1:
        raise CLIENT_CREDENTIAL("expected one `Authorization: Bearer` with a signed statement")
    assertion = match[1].decode("ascii")
    claims = parse(
        read_compact(assertion, malformed=CLIENT_MALFORMED).payload, limits=Limits(depth_max=JSON_DEPTH_MAX)
    )
    subject = claims.get("sub") if isinstance(claims, dict) else None
    by_svid = isinstance(subject, str) and subject.startswith(SCHEME)
    return msgspec.structs.replace(
        asked,
        headers=tuple(one for one in asked.headers if one[0] != _AUTHORIZATION),
        values={
            "client_assertion_type": CLIENT_JWT_SPIFFE if by_svid else CLIENT_JWT_BEARER,
            "client_assertion": assertion,
        },
    )


def _members(body: bytes) -> Sent:
    """Return the members of a JSON body. Raises Malformed (`json.*`, `event_stream.member`)."""
    check_extent(body, MEMBERS_MAX)
    sent = parse(body, limits=Limits(depth_max=JSON_DEPTH_MAX)) if body else {}
    if not isinstance(sent, dict):
        raise EVENT_STREAM_MEMBER("the body is a JSON object")
    return sent


def _stream_id(request: HttpRequest) -> str:
    """Return the stream id: from the path when polling, otherwise from the query; empty if absent.

    Raises Malformed (`event_stream.member`), Refused (`event_stream.unknown`).
    """
    given = request.path_params.get("stream")
    asked = request.query_params.getlist("stream_id")
    if given is None and request.method in ("GET", "DELETE") and asked:
        if len(asked) > 1:
            raise EVENT_STREAM_MEMBER("`stream_id` is given more than once")
        given = asked[0]
    if given is None:
        if request.method == "DELETE" or (request.method == "GET" and request.url.path == metadata.STATUS):
            raise EVENT_STREAM_MEMBER("`stream_id` is missing in the query")
        return ""
    if not _STREAM_ID.fullmatch(given):
        raise EVENT_STREAM_UNKNOWN(f"there is no stream {shown(given)} of yours")
    return str(given)


async def _no_route(request: HttpRequest, error: Exception) -> Response:
    status, body = problem_of(route_fault(request, error))
    return _json(status, body)


def _json(status: int, value: JSONValue, *, kept: bool = False) -> Response:
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "public, max-age=60"} if kept else dict(_UNKEPT),
    )
