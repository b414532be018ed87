"""Call a resource with an access token that only the holder of its key can use (RFC 9449, section 7).

    client = httpx2.AsyncClient(auth=DPoPAuth(ResourceTokens(...), key))

Every request has a proof of its own, over method, URL, token and body. The key never leaves the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import httpx2

from answerable.core.base64url import to_base64url
from answerable.core.identity.proof import dpop_terms
from answerable.core.identity.proof.dpop import dpop_proof
from answerable.core.mandate import oauth_terms as terms
from answerable.errors import shown
from answerable.errors.codes.tokens import TOKEN_ELSEWHERE, TOKEN_UNBOUND
from answerable.sdk.challenge import Challenge, challenges
from answerable.sdk.oauth_http import checked_url, origin_of
from answerable.sdk.system_access import SYSTEM_WORLD, SystemAccess
from answerable.sdk.token_client import BEARER, IDENTIFIER_BYTES, usable_nonce

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from answerable.core.identity.keys.keys import SigningKey
    from answerable.sdk.token_client import AccessToken

_UNAUTHORIZED: Final = 401
_USE_NONCE: Final = "use_dpop_nonce"
_SCHEMES: Final = (terms.DPOP.lower(), BEARER.lower())


class TokenSource(Protocol):
    """A source of tokens, such as `ResourceTokens`."""

    @property
    def resource(self) -> str:
        """The URL of the resource; tokens are sent to its origin only."""
        ...

    def held(self) -> AccessToken | None:
        """Return a token that is valid now, if there is one."""
        ...

    def drop(self, token: AccessToken) -> None:
        """Discard a token that the resource no longer accepts."""
        ...

    async def asked(self, challenge: Challenge) -> AccessToken:
        """Return a token, after the resource refused a request without a valid one."""
        ...


class DPoPAuth(httpx2.Auth):
    """Sends the token with a new proof for each request; for `httpx2.AsyncClient` only.

    The first request is sent without a token, so that the server can state its requirements. A server's demand for a
    nonce is answered once per token; a nonce in any answer is used in the next proof. A cached token that is refused is
    replaced once; a refused new token ends the attempt.
    """

    requires_request_body = True

    def __init__(
        self, tokens: TokenSource, key: SigningKey | None, *, world: SystemAccess = SYSTEM_WORLD
    ) -> None:
        """key: the key that tokens are bound to. None only for a resource without DPoP: anyone who sees its tokens can
        use them.

        Raises Malformed (`url.malformed`) and Unverified (`discovery.insecure`) for a resource to which no token may be
        sent.
        """
        self._origin = origin_of(checked_url(tokens.resource))
        self._tokens = tokens
        self._key = key
        self._world = world
        self._nonce = ""

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Not supported: requesting tokens is asynchronous."""
        raise NotImplementedError("use httpx2.AsyncClient")

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Authenticate a request. Raises Malformed (`token.elsewhere`) for a URL of another origin, and the exceptions
        of `asked`."""
        self._check_target(request)
        await request.aread()
        token = self._tokens.held()
        if token is not None:
            response = yield self._proved(request, token)
            if self._wants_nonce(response):
                response = yield self._proved(request, token)
            if response.status_code != _UNAUTHORIZED:
                return
            # The cached token may have been revoked, or its issuer replaced: request one more.
            self._tokens.drop(token)
        else:
            response = yield request
            self._learn(response)
            if response.status_code != _UNAUTHORIZED:
                return
        token = await self._tokens.asked(_challenge(response))
        response = yield self._proved(request, token)
        if self._wants_nonce(response):
            response = yield self._proved(request, token)
        if response.status_code == _UNAUTHORIZED:
            self._tokens.drop(token)

    def _check_target(self, request: httpx2.Request) -> None:
        url = str(request.url.copy_with(query=None, fragment=None))
        if origin_of(url) != self._origin:
            raise TOKEN_ELSEWHERE(
                f"{shown(url)} is not on {shown(self._origin)}: the token is not sent to it"
            )

    def _proved(self, request: httpx2.Request, token: AccessToken) -> httpx2.Request:
        if self._key is None:
            if token.scheme != BEARER:
                raise TOKEN_UNBOUND("the token is bound to a key that this client does not have")
            request.headers["authorization"] = f"{BEARER} {token.token}"
            return request
        if token.scheme != terms.DPOP:
            raise TOKEN_UNBOUND(
                f"the token is not bound to this client's key (type {token.scheme}): it is not sent"
            )
        request.headers["authorization"] = f"{dpop_terms.SCHEME} {token.token}"
        request.headers["dpop"] = dpop_proof(
            self._key,
            method=request.method,
            url=str(request.url.copy_with(query=None, fragment=None)),
            identifier=to_base64url(self._world.random_bytes(IDENTIFIER_BYTES)),
            issued_at=int(self._world.unix_seconds()),
            token=token.token,
            nonce=self._nonce,
            message=request.content,
        )
        return request

    def _wants_nonce(self, response: httpx2.Response) -> bool:
        """Whether to send the same request again with the nonce in this answer. Remembers a nonce from any answer."""
        self._learn(response)
        return (
            self._key is not None
            and response.status_code == _UNAUTHORIZED
            and any(
                one.scheme == terms.DPOP.lower() and one.text("error") == _USE_NONCE
                for one in challenges(response.headers.get_list("www-authenticate"))
            )
        )

    def _learn(self, response: httpx2.Response) -> None:
        values = response.headers.get_list(dpop_terms.NONCE_FIELD.decode())
        self._nonce = (usable_nonce(values[0]) if len(values) == 1 else "") or self._nonce


def _challenge(response: httpx2.Response) -> Challenge:
    """Return the challenge of a 401; an empty one if there is none."""
    found = challenges(response.headers.get_list("www-authenticate"))
    return next((one for one in found if one.scheme in _SCHEMES), Challenge(scheme="", parameters={}))
