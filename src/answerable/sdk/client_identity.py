"""Authenticate an agent as a client at a token endpoint. Shared secrets are not supported: they can be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.mandate import oauth_terms as terms
from answerable.sdk.system_access import SYSTEM_WORLD, SystemAccess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.identity.keys.keys import SigningKey

ASSERTION_SECONDS: Final = 60
_ID_BYTES: Final = 16


class ClientIdentity(Protocol):
    """Creates the parameters that authenticate the client of one request."""

    async def parameters(self, issuer: str) -> list[tuple[str, str]]:
        """Return new parameters for one request to this issuer. They are credentials and must never be logged."""
        ...


class NamedClient:
    """A client that only states its name: the grant that it presents must prove itself (RFC 7521, section 4.1)."""

    def __init__(self, client_id: str = "") -> None:
        """client_id: empty to send none, if the grant alone identifies the client."""
        self._client_id = client_id

    async def parameters(self, issuer: str) -> list[tuple[str, str]]:
        """Return the client id, if any."""
        del issuer
        return [("client_id", self._client_id)] if self._client_id else []


class PrivateKeyClient:
    """`private_key_jwt` (RFC 7523, section 3): a statement signed for this issuer only, valid once and for a minute."""

    def __init__(self, client_id: str, key: SigningKey, *, world: SystemAccess = SYSTEM_WORLD) -> None:
        self._client_id = client_id
        self._key = key
        self._world = world

    async def parameters(self, issuer: str) -> list[tuple[str, str]]:
        """Return a newly signed assertion. Raises Malformed (`json.*`, `statement.size`)."""
        now = int(self._world.unix_seconds())
        assertion = signed_statement(
            {
                "iss": self._client_id,
                "sub": self._client_id,
                "aud": issuer,
                "iat": now,
                "exp": now + ASSERTION_SECONDS,
                "jti": to_base64url(self._world.random_bytes(_ID_BYTES)),
            },
            typ="JWT",
            key=self._key,
        )
        return [
            ("client_id", self._client_id),
            ("client_assertion_type", terms.CLIENT_JWT_BEARER),
            ("client_assertion", assertion),
        ]


class SpiffeClient:
    """Authenticates with a JWT-SVID for this issuer only (draft-ietf-oauth-spiffe-client-auth-02)."""

    def __init__(self, svid: Callable[[str], Awaitable[str]]) -> None:
        """svid: fetches an SVID for a given audience from the Workload API."""
        self._svid = svid

    async def parameters(self, issuer: str) -> list[tuple[str, str]]:
        """Return a newly fetched SVID. Raises the exceptions of `svid`."""
        return [
            ("client_assertion_type", terms.CLIENT_JWT_SPIFFE),
            ("client_assertion", await self._svid(issuer)),
        ]
