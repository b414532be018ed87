"""Call the management API of RabbitMQ under the broker's own account."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import anyio
import httpx2

from answerable.core.lease.password_tries import others_to_try
from answerable.errors import Unavailable, shown
from answerable.errors.codes.leases import ACCOUNT_TARGET, LEASE_DENIED, LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.errors import Effect

REQUESTS_MAX: Final = 8
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Enough for the list of all users, the longest answer."""
CONNECTIONS_KEPT: Final = 4
TRANSIENT: Final = frozenset({401, 403, 408, 425, 429})
"""Of the statuses from 400 to 499, those after which the same request may be granted: 401 while the broker's password
changes, 403 once its account has the rights."""


class Management:
    """A client of the management API. address: `https://HOST:PORT`, or `http://` on this machine. password_of: called
    for each request. others_of: passwords to try if the server refuses the first."""

    def __init__(
        self,
        address: str,
        *,
        account: str,
        password_of: Callable[[], str],
        tls: ssl.SSLContext | None,
        seconds_max: float,
        others_of: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._address = address.rstrip("/")
        self._account = account
        self._password_of = password_of
        self._others_of = others_of
        self._tls = tls
        self._seconds_max = seconds_max
        self._client: httpx2.AsyncClient | None = None
        self._turns = anyio.Semaphore(REQUESTS_MAX)

    async def put(self, *path: str, content: Mapping[str, JSONValue], issues: bool = False) -> None:
        """Create or replace a resource. Raises Unavailable (`lease.target`), and where it `issues` a lease Refused
        (`lease.denied`) for what the server would refuse again."""
        await self._asked("PUT", path, content, issues=issues)

    async def delete(self, *path: str) -> bool:
        """Delete a resource. Returns whether it existed. Raises Unavailable (`lease.target`)."""
        return await self._asked("DELETE", path) is not None

    async def get(self, *path: str, query: str = "", issues: bool = False) -> Any:
        """Read a resource; None if it does not exist. Raises as `put`."""
        return await self._asked("GET", path, query=query, issues=issues)

    async def lets_in(self) -> bool:
        """Whether the server accepts the password for this account. Raises Unavailable (`account.target`)."""
        try:
            with anyio.fail_after(self._seconds_max):
                status, _ = await self._answer("GET", f"{self._address}/api/whoami", None)
        except (httpx2.HTTPError, TimeoutError, OSError, ssl.SSLError):
            raise ACCOUNT_TARGET("rabbitmq does not answer") from None
        if status == httpx2.codes.UNAUTHORIZED:
            return False
        if not httpx2.codes.is_success(status):
            raise ACCOUNT_TARGET(f"rabbitmq answers {status}")
        return True

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _asked(
        self,
        method: str,
        path: tuple[str, ...],
        content: Mapping[str, JSONValue] | None = None,
        query: str = "",
        *,
        issues: bool = False,
    ) -> Any:
        effect: Effect = "none" if method == "GET" else "unknown"
        url = "/".join([self._address, "api", *(quote(part, safe="") for part in path)]) + query
        async with self._turns:
            # A cancelled caller waits for the answer: a sent request cannot be recalled.
            with anyio.CancelScope(shield=True):
                try:
                    with anyio.fail_after(self._seconds_max):
                        status, body = await self._answer(method, url, content)
                except httpx2.ConnectError:
                    raise away("rabbitmq does not answer", "none") from None
                except (httpx2.HTTPError, TimeoutError, OSError, ssl.SSLError):
                    raise away("rabbitmq does not answer", effect) from None
        if status == httpx2.codes.NOT_FOUND:
            return None
        if not httpx2.codes.is_success(status):
            why = f"rabbitmq refuses the broker's own account: {status} {_reason(body)}"
            if issues and 400 <= status < 500 and status not in TRANSIENT:
                raise LEASE_DENIED(why)
            raise away(why, "none")
        try:
            return json.loads(body) if body else {}
        except ValueError:
            raise away("rabbitmq answers with what is no json", effect) from None

    async def _answer(
        self, method: str, url: str, content: Mapping[str, JSONValue] | None
    ) -> tuple[int, bytes]:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                verify=self._tls if self._tls is not None else True,
                trust_env=False,
                follow_redirects=False,
                timeout=self._seconds_max,
                limits=httpx2.Limits(
                    max_connections=REQUESTS_MAX, max_keepalive_connections=CONNECTIONS_KEPT
                ),
            )
        first = self._password_of()
        status, answered = await self._answer_to(self._client, first, method, url, content)
        if status == httpx2.codes.UNAUTHORIZED:
            for other in others_to_try(first, self._others_of):
                status, answered = await self._answer_to(self._client, other, method, url, content)
                if status != httpx2.codes.UNAUTHORIZED:
                    break
        return status, answered

    async def _answer_to(
        self,
        client: httpx2.AsyncClient,
        password: str,
        method: str,
        url: str,
        content: Mapping[str, JSONValue] | None,
    ) -> tuple[int, bytes]:
        try:
            return await self._once(client, password, method, url, content)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            # The server may close an idle connection, or one with a refused password, at any time. GET and PUT are
            # idempotent and may be repeated; a repeated DELETE would report that the resource did not exist.
            if method == "DELETE":
                raise
            return await self._once(client, password, method, url, content)

    async def _once(
        self,
        client: httpx2.AsyncClient,
        password: str,
        method: str,
        url: str,
        content: Mapping[str, JSONValue] | None,
    ) -> tuple[int, bytes]:
        auth = httpx2.BasicAuth(self._account, password)
        body = bytearray()
        async with client.stream(method, url, json=content, auth=auth) as response:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > ANSWER_BYTES_MAX:
                    raise away("rabbitmq answers with more than is read", "unknown")
            return response.status_code, bytes(body)


def away(why: str, effect: Effect) -> Unavailable:
    """Return the fault for a target that its issuer cannot use."""
    return LEASE_TARGET(why, effect=effect)


def _reason(body: bytes) -> str:
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    return shown(told.get("reason", "")) if isinstance(told, dict) else ""
