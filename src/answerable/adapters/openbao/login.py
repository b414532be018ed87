"""How the broker shows OpenBao who it is, and the token that it gets for that.

Laws: leases are children of the token, so that they die with it at the latest: none is made with one that ends before
it; a token that is refused is thrown away and asked for once more, with secrets read anew.
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
"""How long before its end a token is not used any more for something new."""
LIFE_SECONDS_MAX: Final = 365 * 86_400


class Api(Protocol):
    """What asks OpenBao: status and object of an answer. Raises Unavailable (`lease.target`)."""

    async def asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, JSONValue] | None = None,
        *,
        headers: Mapping[str, str],
        taken: Collection[int] = (),
    ) -> tuple[int, dict[str, JSONValue]]:
        """taken: statuses of refusals that the caller understands."""
        ...

    async def close(self) -> None:
        """End its connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRole:
    """By role id and secret id."""

    role_id: str
    secret_id: Callable[[], bytes] = field(repr=False)
    mount: str = "approle"

    def body(self) -> dict[str, JSONValue]:
        """What is sent."""
        return {"role_id": self.role_id, "secret_id": _text(self.secret_id())}


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtLogin:
    """By a JWT, such as the JWT-SVID of the broker's workload."""

    role: str
    token: Callable[[], bytes] = field(repr=False)
    mount: str = "jwt"

    def body(self) -> dict[str, JSONValue]:
        """What is sent."""
        return {"role": self.role, "jwt": _text(self.token())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """ends_ms: Unix milliseconds, by our clock, counted from before it was asked for."""

    text: str = field(repr=False)
    ends_ms: int


class OpenBaoLogin:
    """Gives the broker's token. One login at a time; a token is used as long as it lasts."""

    def __init__(self, *, api: Api, method: AppRole | JwtLogin, clock: Clock, namespace: str = "") -> None:
        """namespace: of OpenBao or Vault; empty for the root."""
        self._api = api
        self._method = method
        self._clock = clock
        self._namespace = namespace
        self._token: Token | None = None
        self._lock: anyio.Lock | None = None

    async def token(self, *, seconds: int = 0, not_this: Token | None = None) -> Token:
        """One that lasts that long, if OpenBao gives one. not_this: one that was refused.

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
        """One answer to the broker's token. Where that is refused, once more with a new one.

        token: one that the caller holds. Raises Unavailable (`lease.target`).
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
        """One answer to any token. Raises Unavailable (`lease.target`)."""
        headers = {**self._headers(), "x-vault-token": token}
        return await self._api.asked(method, f"/v1/{path}", body, headers=headers, taken=taken)

    async def close(self) -> None:
        """Forget the token, and end the connections. The token itself ends in its time: leases are its children."""
        self._token = None
        await self._api.close()

    async def _new(self) -> Token:
        now = self._clock.now()
        path = f"/v1/auth/{self._method.mount}/login"
        try:
            _, answer = await self._api.asked("POST", path, self._method.body(), headers=self._headers())
        except Unavailable as error:
            # A token that may have been made hangs on nothing, and nothing hangs on it.
            raise Unavailable(error.message, code=error.code, port=PORT) from None
        auth = answer.get("auth")
        text = auth.get("client_token") if isinstance(auth, dict) else None
        seconds = auth.get("lease_duration") if isinstance(auth, dict) else None
        if not isinstance(text, str) or not text or not isinstance(seconds, int):
            raise LEASE_TARGET("OpenBao: it answered a login with no token")
        # 0 is what it says of a token that never ends.
        return Token(text=text, ends_ms=now + (seconds or LIFE_SECONDS_MAX) * 1000)

    def _headers(self) -> dict[str, str]:
        headers = {"x-vault-request": "true"}
        return headers | ({"x-vault-namespace": self._namespace} if self._namespace else {})


def _text(secret: bytes) -> str:
    return secret.decode("ascii", errors="replace").strip()
