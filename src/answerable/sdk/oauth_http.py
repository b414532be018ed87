"""Send the HTTP requests of an OAuth client: bounded answers, one deadline, TLS except on loopback, no cookies, no
proxies.

Laws:
- a request with a credential follows no redirect; a public document may be redirected three times, within its origin;
- a server's answer is parsed strictly, and no error contains a part of a body.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit

import anyio
import httpx2

from answerable.connection_fault import connection_fault
from answerable.core.canonical import Limits, parse
from answerable.core.identity.names.target_url import normal_url
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.tokens import (
    DISCOVERY_INSECURE,
    OAUTH_ANSWER_UNAVAILABLE,
    OAUTH_SLOW,
    OAUTH_UNREACHABLE,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from answerable.core.canonical import JSONValue
    from answerable.errors import Effect

ANSWER_BYTES_MAX: Final = 524_288
"""Bytes of one answer. A delegation chain may take half of it."""
ANSWER_SECONDS_MAX: Final = 30.0
"""From the first connection to the last byte, redirects included."""
REDIRECTS_MAX: Final = 3

_LIMITS: Final = Limits(size_bytes_max=ANSWER_BYTES_MAX, depth_max=16)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PLAIN: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "answerable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A server's answer. members: of the JSON object, empty if there is no body. nonce: `DPoP-Nonce`, empty if there is
    none."""

    status: int
    members: Mapping[str, JSONValue]
    nonce: str = ""

    def text(self, name: str) -> str:
        """Return a member that is text, else empty."""
        value = self.members.get(name)
        return value if isinstance(value, str) else ""

    def __repr__(self) -> str:
        # Members of an answer are credentials.
        return f"Answer({self.status})"


def open_oauth_client(tls: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
    """Open a client that reads nothing from the environment. tls: the trusted authorities; the system's by default."""
    transport = httpx2.AsyncHTTPTransport(verify=True if tls is None else tls, trust_env=False)
    return httpx2.AsyncClient(transport=transport, timeout=ANSWER_SECONDS_MAX, trust_env=False)


def checked_url(url: str, *, near: str = "") -> str:
    """Return the URL unchanged, if tokens may be sent there: `https`, or `http` on loopback.

    near: the URL of the server that named this URL. A remote server cannot refer the client to loopback, where it could
    reach services that only this machine can. Raises Malformed (`url.malformed`) and Unverified (step `discovery`:
    `discovery.insecure`).
    """
    normal = normal_url(url)
    local = is_loopback(normal)
    if (normal.startswith("http://") and not local) or (local and near and not is_loopback(near)):
        raise DISCOVERY_INSECURE(
            f"{shown(url)} is not used: expected `https`, or `http` on loopback if a server on "
            "loopback names it"
        )
    return url


def is_loopback(url: str) -> bool:
    """Whether the host is `localhost` or a loopback address."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> str:
    """Return scheme, host and port in normal form, without a final slash. Raises Malformed (`url.malformed`)."""
    parts = urlsplit(normal_url(url))
    return f"{parts.scheme}://{parts.netloc}"


class OAuthHttp:
    """Requests of an OAuth client over a given `httpx2` client, whose own `auth` they never use."""

    def __init__(self, client: httpx2.AsyncClient, *, seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        self._client = client
        self._seconds_max = seconds_max

    async def document(self, url: str) -> Answer | None:
        """Fetch a public JSON object; None for a status of 4xx.

        Raises Unavailable: `oauth.unreachable`, `oauth.slow`, `oauth.answer`.
        """
        try:
            with anyio.fail_after(self._seconds_max):
                return await self._followed(url)
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise self._failed(url, error, effect="none") from None
        except Unavailable as error:
            # Reading has no effect on the server, whatever the answer.
            error.effect = "none"
            raise

    async def form(self, url: str, fields: Sequence[tuple[str, str]], *, proof: str = "") -> Answer:
        """Send a form by POST and return the answer, whatever its status. proof: for the field `DPoP`.

        Raises Unavailable: `oauth.unreachable`, `oauth.slow`, `oauth.answer`; after the last two, the effect on the
        server is unknown.
        """
        headers = {"content-type": "application/x-www-form-urlencoded"} | ({"dpop": proof} if proof else {})
        try:
            with anyio.fail_after(self._seconds_max):
                async with self._sent("POST", url, headers, urlencode(fields).encode("ascii")) as response:
                    body = await _body(url, response)
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            effect: Effect = "none" if isinstance(error, httpx2.ConnectError) else "unknown"
            raise self._failed(url, error, effect=effect) from None
        if response.status_code in _REDIRECTS:
            raise _wrong(url, "a redirect, which is not followed with credentials")
        return Answer(
            status=response.status_code,
            members=_object(url, body) if body else {},
            nonce=response.headers.get("dpop-nonce", ""),
        )

    async def _followed(self, url: str) -> Answer | None:
        origin = origin_of(url)
        for _ in range(REDIRECTS_MAX + 1):
            async with self._sent("GET", url, {}, b"") as response:
                status = response.status_code
                if status in _REDIRECTS:
                    url = _within(origin, url, response.headers.get("location", ""))
                    continue
                if 400 <= status < 500:
                    return None
                if status != 200:
                    raise _wrong(url, f"status {status}")
                return Answer(status=status, members=_object(url, await _body(url, response)))
        raise _wrong(url, f"more than {REDIRECTS_MAX} redirects")

    def _sent(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> AbstractAsyncContextManager[httpx2.Response]:
        # Cookies are credentials, too, so none is kept.
        self._client.cookies.clear()
        return self._client.stream(
            method, url, headers=_PLAIN | headers, content=body, auth=None, follow_redirects=False
        )

    def _failed(self, url: str, error: Exception, *, effect: Effect) -> Unavailable:
        if isinstance(error, TimeoutError | httpx2.TimeoutException):
            message = f"{shown(url)} did not answer completely within {self._seconds_max:g} seconds"
            return OAUTH_SLOW(message, effect=effect)
        # The library's own message may quote what was sent.
        return OAUTH_UNREACHABLE(f"{shown(url)} cannot be reached: {connection_fault(error)}", effect=effect)


async def _body(url: str, response: httpx2.Response) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _wrong(url, "a compressed body, which was not requested")
    received = bytearray()
    # Raw bytes: nothing is decompressed, so the content cannot grow.
    async for chunk in response.aiter_raw():
        received += chunk
        if len(received) > ANSWER_BYTES_MAX:
            raise _wrong(url, f"more than {ANSWER_BYTES_MAX} bytes")
    return bytes(received)


def _object(url: str, body: bytes) -> Mapping[str, JSONValue]:
    """Parse a body strictly. The error contains nothing of the body, which may contain tokens."""
    try:
        value = parse(body, limits=_LIMITS)
    except Malformed as error:
        raise _wrong(url, f"invalid JSON ({error.code})") from None
    if not isinstance(value, dict):
        raise _wrong(url, "JSON that is not an object")
    return value


def _within(origin: str, url: str, location: str) -> str:
    try:
        target = urljoin(url, location) if location else ""
        if origin_of(target) == origin:
            return target
    except (ValueError, Malformed):
        pass
    raise _wrong(url, f"a redirect to {shown(location)}, which is not of its origin")


def _wrong(url: str, what: str) -> Unavailable:
    return OAUTH_ANSWER_UNAVAILABLE(f"{shown(url)} answered with {what}")
