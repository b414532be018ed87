"""Log the broker in to OpenBao or Vault and hold the login token.

Laws: leases are children of the login token and end with it at the latest, so none is created with a token that ends
earlier than the lease; a refused token is discarded and replaced once, with secrets read again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from answerable.errors import Unavailable
from answerable.errors.codes.leases import LEASE_TARGET
from answerable.ports.credential_issuer import PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.ports.clock import Clock

FORBIDDEN: Final = 403
SPARE_SECONDS: Final = 30
"""A token that ends sooner than this is not used for new leases."""
LIFE_SECONDS_MAX: Final = 365 * 86_400


class Api(Protocol):
    """Client of OpenBao's API. Calls return status and JSON object, and raise Unavailable (`lease.target`)."""

    async def asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, JSONValue] | None = None,
        *,
        headers: Mapping[str, str],
        taken: Collection[int] = (),
    ) -> tuple[int, dict[str, JSONValue]]:
        """Send one request. taken: error statuses that the caller handles itself."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRole:
    """AppRole login by role id and secret id."""

    role_id: str
    secret_id: Callable[[], bytes] = field(repr=False)
    mount: str = "approle"

    def body(self) -> dict[str, JSONValue]:
        """Return the body of the login request."""
        return {"role_id": self.role_id, "secret_id": _text(self.secret_id())}


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtLogin:
    """Login by a JWT, such as the JWT-SVID of the broker's workload."""

    role: str
    token: Callable[[], bytes] = field(repr=False)
    mount: str = "jwt"

    def body(self) -> dict[str, JSONValue]:
        """Return the body of the login request."""
        return {"role": self.role, "jwt": _text(self.token())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A login token. ends_ms: its expiry in Unix milliseconds, by the local clock, counted from before the login
    request."""

    text: str = field(repr=False)
    ends_ms: int


class OpenBaoLogin:
    """Provides the broker's login token. Runs one login at a time; a token is used as long as it lasts."""

    def __init__(self, *, api: Api, method: AppRole | JwtLogin, clock: Clock, namespace: str = "") -> None:
        """namespace: of OpenBao or Vault; empty for the root namespace."""
        self._api = api
        self._method = method
        self._clock = clock
        self._namespace = namespace
        self._token: Token | None = None
        self._lock: anyio.Lock | None = None

    async def token(self, *, seconds: int = 0, not_this: Token | None = None) -> Token:
        """Return a token that lasts `seconds`, if OpenBao issues one. not_this: a token that was refused.

        Raises Unavailable (`lease.target`).
        """
        if self._lock is None:
            self._lock = anyio.Lock()
        async with self._lock:
            kept = self._token
            needed = self._clock.now() + (seconds + SPARE_SECONDS) * 1000
            if kept is None or kept is not_this or kept.ends_ms < needed:
                kept = self._token = await self._new()
            return kept

    async def asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, JSONValue] | None = None,
        *,
        taken: Collection[int] = (),
        token: Token | None = None,
    ) -> tuple[int, dict[str, JSONValue]]:
        """Send one request with the login token. If the token is refused, repeat once with a new token.

        token: a login token to use first. Raises Unavailable (`lease.target`).
        """
        used = token or await self.token()
        status, answer = await self.with_token(used.text, method, path, body, taken={*taken, FORBIDDEN})
        if status == FORBIDDEN and FORBIDDEN not in taken:
            used = await self.token(not_this=used)
            status, answer = await self.with_token(used.text, method, path, body, taken=taken)
        return status, answer

    async def with_token(
        self,
        token: str,
        method: str,
        path: str,
        body: Mapping[str, JSONValue] | None = None,
        *,
        taken: Collection[int] = (),
    ) -> tuple[int, dict[str, JSONValue]]:
        """Send one request with the given token. Raises Unavailable (`lease.target`)."""
        headers = {**self._headers(), "x-vault-token": token}
        return await self._api.asked(method, f"/v1/{path}", body, headers=headers, taken=taken)

    async def close(self) -> None:
        """Forget the token and close the connections. The token itself is left to expire, because revoking it would end
        its leases."""
        self._token = None
        await self._api.close()

    async def _new(self) -> Token:
        now = self._clock.now()
        path = f"/v1/auth/{self._method.mount}/login"
        try:
            _, answer = await self._api.asked("POST", path, self._method.body(), headers=self._headers())
        except Unavailable as error:
            # Effect `none`: a login token that may have been created has no leases.
            raise Unavailable(error.message, code=error.code, port=PORT) from None
        auth = answer.get("auth")
        text = auth.get("client_token") if isinstance(auth, dict) else None
        seconds = auth.get("lease_duration") if isinstance(auth, dict) else None
        if not isinstance(text, str) or not text or not isinstance(seconds, int):
            raise LEASE_TARGET("OpenBao answered the login without a token")
        # OpenBao reports 0 for a token that never expires.
        return Token(text=text, ends_ms=now + (seconds or LIFE_SECONDS_MAX) * 1000)

    def _headers(self) -> dict[str, str]:
        headers = {"x-vault-request": "true"}
        return headers | ({"x-vault-namespace": self._namespace} if self._namespace else {})


def _text(secret: bytes) -> str:
    return secret.decode("ascii", errors="replace").strip()
