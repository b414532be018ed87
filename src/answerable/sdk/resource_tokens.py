"""Obtain and cache the access token for one resource: discover the requirements, request it once, renew it before its
end.

Laws:
- only an issuer that the agent's author trusts is asked for tokens, whatever a resource states: otherwise any resource
  could obtain proofs of the agent's identity for a server of its choice;
- callers that need a token at the same time share one request, and a refusal is remembered for a while, so that not
  every call repeats a refused request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import anyio

from answerable.errors import Refused, shown
from answerable.errors.codes.tokens import DISCOVERY_UNTRUSTED
from answerable.sdk.discovery import resource_metadata, server_metadata
from answerable.sdk.system_access import SYSTEM_WORLD, SystemAccess

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.sdk.challenge import Challenge
    from answerable.sdk.discovery import ServerMetadata
    from answerable.sdk.oauth_http import OAuthHttp
    from answerable.sdk.token_client import AccessToken

RENEW_SECONDS_BEFORE_END_MAX: Final = 30.0
REFUSED_SECONDS: Final = 30.0


class Obtain(Protocol):
    """Requests a token from a server by the grant that the agent has."""

    async def __call__(self, server: ServerMetadata, *, resource: str, scope: str) -> AccessToken:
        """Return a token for this resource, with this scope, which may be empty. Raises as `TokenClient` does."""
        ...


class ResourceTokens:
    """Tokens for one resource, for `DPoPAuth`. Safe for concurrent requests in one event loop."""

    def __init__(
        self,
        resource: str,
        *,
        http: OAuthHttp,
        trusts: Callable[[str], bool],
        obtain: Obtain,
        scope: str = "",
        world: SystemAccess = SYSTEM_WORLD,
    ) -> None:
        """resource: its URL. trusts: whether this issuer may be asked for tokens. scope: empty uses the challenge's."""
        self.resource: Final = resource
        self._http = http
        self._trusts = trusts
        self._obtain = obtain
        self._scope = scope
        self._world = world
        self._asking = anyio.Lock()
        self._token: AccessToken | None = None
        self._renew_at = 0.0
        self._server: ServerMetadata | None = None
        self._refused: Refused | None = None
        self._refused_until = 0.0

    def held(self) -> AccessToken | None:
        """Return the token while it is valid for some time yet, else None."""
        if self._token is not None and self._world.monotonic() < self._renew_at:
            return self._token
        return None

    def drop(self, token: AccessToken) -> None:
        """Discard a token that the resource no longer accepts. A newer one stays."""
        if self._token is token:
            self._token = None

    async def asked(self, challenge: Challenge) -> AccessToken:
        """Return the token, requesting one if there is none. challenge: the resource's answer to a request without a
        token.

        Raises the exceptions of discovery, `trusts` and the grant: Unverified (`discovery.untrusted` among others),
        Refused, Unavailable, Malformed.
        """
        async with self._asking:
            token = self.held()
            if token is not None:
                return token
            if self._refused is not None and self._world.monotonic() < self._refused_until:
                known = self._refused
                raise Refused(known.message, code=known.code, reasons=known.reasons)
            try:
                token = await self._fresh(challenge)
            except Refused as refusal:
                self._refused, self._refused_until = refusal, self._world.monotonic() + REFUSED_SECONDS
                raise
            self._token = token
            left = token.ends_at - self._world.monotonic()
            self._renew_at = token.ends_at - min(RENEW_SECONDS_BEFORE_END_MAX, left / 2)
            return token

    async def _fresh(self, challenge: Challenge) -> AccessToken:
        found = await resource_metadata(self._http, self.resource, named=challenge.text("resource_metadata"))
        issuer = next((one for one in found.issuers if self._trusts(one)), None)
        if issuer is None:
            raise DISCOVERY_UNTRUSTED(
                f"{shown(self.resource)} requires tokens of issuer {shown(', '.join(found.issuers))}, "
                "which is not trusted here"
            )
        server = await server_metadata(self._http, issuer, near=self.resource)
        scope = self._scope or challenge.text("scope")
        return await self._obtain(server, resource=found.resource, scope=scope)
