"""Serve the token service as an ASGI application: OAuth endpoints over the flows that answer them.

`docs/reference/wire/token-service.md` is the specification. Wiring routes `/oauth/` and the two well-known paths here.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response

from answerable.apps.token_service import metadata
from answerable.apps.token_service.form import form_of
from answerable.apps.token_service.problems import problem_of
from answerable.core.identity.proof.door_refusal import sender_of
from answerable.core.mandate import oauth_terms as terms
from answerable.errors import AnswerableError, Broken, Unavailable, Unverified, shown
from answerable.errors.codes.services import REQUEST_PATH_UNKNOWN
from answerable.errors.codes.tokens import (
    OAUTH_FAILED,
    OAUTH_INVALID_REQUEST,
    OAUTH_INVALID_TARGET,
    OAUTH_UNSUPPORTED_GRANT_TYPE,
)
from answerable.flows.tokens.authenticate_client import Asked
from answerable.flows.tokens.find_parent import Exchange
from answerable.wiring.guarded_request import body_within, channel_of, check_host, route_fault
from answerable.wiring.plain_route import PlainRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request as HttpRequest

    from answerable.apps.token_service.form import Form
    from answerable.apps.token_service.services import TokenServices
    from answerable.core.canonical import JSONValue
    from answerable.flows.tokens.authenticate_client import TokenClient

DPOP_FIELD: Final = b"dpop"
NONCE_FIELD: Final = "DPoP-Nonce"

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_log: Final = logging.getLogger("answerable.tokens")


def token_app(needs: TokenServices) -> Starlette:
    """Return the application with every path. Every request gets a response; no exception escapes."""
    door = _Door(needs)
    posts = {
        metadata.TOKEN: door.token,
        metadata.INTROSPECT: door.introspect,
        metadata.REVOKE: door.revoke,
    }
    gets: dict[str, Callable[[HttpRequest], Response]] = {
        metadata.AS_METADATA: door.issuer_metadata,
        metadata.RESOURCE_METADATA: door.resource_metadata,
        metadata.RESOURCE_METADATA + "/mcp/{server}": door.resource_metadata,
        metadata.KEYS: door.keys,
        metadata.STATUS.rstrip("/"): door.status_lists,
        metadata.STATUS + "{number}": door.status_list,
    }
    routes = [PlainRoute(path, door.answered(act), method="POST") for path, act in posts.items()]
    routes += [PlainRoute(path, door.told(tell)) for path, tell in gets.items()]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


class _Door:
    """The endpoints. Every method that is not a route itself raises the error family."""

    def __init__(self, needs: TokenServices) -> None:
        self._needs = needs

    def answered(
        self, act: Callable[[TokenClient, Form, Asked], Awaitable[Response]]
    ) -> Callable[[HttpRequest], Awaitable[Response]]:
        """Return an endpoint for a POST by an authenticated client."""

        async def endpoint(request: HttpRequest) -> Response:
            client: TokenClient | None = None
            try:
                check_host(request, self._needs.hosts)
                asked = await self._asked(request)
                form = form_of(asked.body, request.headers.get("content-type", ""))
                asked = msgspec.structs.replace(asked, values=form.values)
                client = self._needs.authenticate(asked)
                response = await act(client, form, asked)
            except Exception as error:
                return self._failed(request, error, client)
            response.headers[NONCE_FIELD] = self._needs.nonce()
            return response

        return endpoint

    def told(self, tell: Callable[[HttpRequest], Response]) -> Callable[[HttpRequest], Awaitable[Response]]:
        """Return an endpoint for a public GET."""

        async def endpoint(request: HttpRequest) -> Response:
            try:
                check_host(request, self._needs.hosts)
                return tell(request)
            except Exception as error:
                return self._failed(request, error, None)

        return endpoint

    async def token(self, client: TokenClient, form: Form, asked: Asked) -> Response:
        """Exchange a token (RFC 8693, section 2)."""
        grant = form.required("grant_type")
        if grant != terms.GRANT_EXCHANGE:
            raise OAUTH_UNSUPPORTED_GRANT_TYPE(
                f"grant type {shown(grant)} is not served: use {terms.GRANT_EXCHANGE}"
            )
        if len(form.resources) > 1:
            raise OAUTH_INVALID_TARGET("a token is for one resource: give one `resource`")
        granted = await self._needs.exchange(
            client,
            Exchange(
                subject_token=form.required("subject_token"),
                subject_token_type=form.required("subject_token_type"),
                actor_token=form.text("actor_token"),
                actor_token_type=form.text("actor_token_type"),
                consent=form.text("consent"),
                chain=form.text("delegation"),
                resource=form.resources[0] if form.resources else "",
                scope=form.text("scope"),
                authorization_details=form.text("authorization_details"),
                requested_token_type=form.text("requested_token_type") or terms.TYPE_ACCESS,
                key=self._needs.prove_key(asked) if asked.fields(DPOP_FIELD) else "",
            ),
        )
        return _json(
            200,
            {
                "access_token": granted.token,
                "issued_token_type": terms.TYPE_ACCESS,
                "token_type": terms.DPOP if granted.by_dpop else terms.NOT_APPLICABLE,
                "expires_in": granted.expires_in,
                "scope": " ".join(granted.scopes),
                "authorization_details": granted.authorization_details,
                "delegation": granted.chain,
            },
        )

    async def introspect(self, client: TokenClient, form: Form, asked: Asked) -> Response:
        """Introspect a token (RFC 7662); signed (RFC 9701) if the client asks for it."""
        found = self._needs.introspect(client, form.required("token"))
        if terms.INTROSPECTION_MEDIA_TYPE.encode() in asked.fields(b"accept"):
            signed = self._needs.signed(client, found)
            return Response(signed, media_type=terms.INTROSPECTION_MEDIA_TYPE, headers=_UNKEPT)
        return _json(200, found)

    async def revoke(self, client: TokenClient, form: Form, asked: Asked) -> Response:
        """Revoke a token (RFC 7009); an unknown token is answered with 200, too."""
        del asked
        await self._needs.revoke(client, form.required("token"))
        return Response(b"", status_code=200, headers=_UNKEPT)

    def issuer_metadata(self, _: HttpRequest) -> Response:
        """Return the server metadata (RFC 8414)."""
        return _json(200, metadata.issuer_metadata(self._needs.issuer()), kept=True)

    def resource_metadata(self, request: HttpRequest) -> Response:
        """Return the resource metadata (RFC 9728) of one server behind the gateway, or of the gateway."""
        server = request.path_params.get("server", "")
        if server and server not in self._needs.servers():
            raise REQUEST_PATH_UNKNOWN(f"server {shown(server)} is not registered")
        return _json(200, metadata.resource_metadata(self._needs.issuer(), server), kept=True)

    def keys(self, _: HttpRequest) -> Response:
        """Return the keys (RFC 7517) that sign tokens and lists, including those of earlier tokens."""
        return _json(200, {"keys": [dict(key) for key in self._needs.jwks()]}, kept=True)

    def status_lists(self, _: HttpRequest) -> Response:
        """List the addresses of all status lists (draft-ietf-oauth-status-list-21, section 9)."""
        base = self._needs.issuer() + metadata.STATUS
        uris: list[JSONValue] = [f"{base}{number}" for number in self._needs.status_lists()]
        return _json(200, {"status_lists": uris})

    def status_list(self, request: HttpRequest) -> Response:
        """Return a status list (draft-ietf-oauth-status-list-21, section 8). Lists of a past time are not served."""
        number = request.path_params["number"]
        if request.query_params:
            raise REQUEST_PATH_UNKNOWN("status lists of earlier times are not kept")
        found = self._needs.status_list(int(number)) if _NUMBER.fullmatch(number) else None
        if found is None:
            raise REQUEST_PATH_UNKNOWN(f"there is no status list {shown(number)}")
        return Response(found, media_type=terms.STATUS_LIST_MEDIA_TYPE, headers=_UNKEPT)

    async def _asked(self, request: HttpRequest) -> Asked:
        raw: Any = request.scope.get("raw_path")
        if not isinstance(raw, bytes) or request.scope.get("query_string"):
            # RFC 6749, section 3.2. Also, no token may be in a URL, because logs store URLs.
            raise OAUTH_INVALID_REQUEST("query parameters are not accepted here")
        return Asked(
            method=request.method,
            target=raw,
            headers=tuple(request.scope["headers"]),
            body=await body_within(
                request, bytes_max=self._needs.body_bytes_max, seconds_max=self._needs.body_seconds_max
            ),
            channel=channel_of(request),
        )

    def _failed(self, request: HttpRequest, error: Exception, client: TokenClient | None) -> Response:
        if not isinstance(error, AnswerableError):
            _log.error("a request failed", exc_info=error)
            error = OAUTH_FAILED()
        elif isinstance(error, Broken):
            _log.error("%s: %s", error.code, error.message)
        known = {"agent": client.agent, "key": client.key} if client is not None else {}
        self._needs.refused(error, sender_of(request.scope), **known)
        status, body = problem_of(error)
        response = _json(status, body)
        if status == 401:
            # A client that signs its requests reads the server's epoch from the challenge and tries again.
            challenge = self._needs.challenge(error.step) if isinstance(error, Unverified) else ""
            response.headers["www-authenticate"] = challenge or 'DPoP error="invalid_client"'
        if isinstance(error, Unavailable):
            response.headers["retry-after"] = "1"
        # A client that must use a nonce, or may need a new one, gets it at once (RFC 9449, section 8).
        response.headers[NONCE_FIELD] = self._needs.nonce()
        return response


_UNKEPT: Final = {"cache-control": "no-store"}


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
