"""Fetch the JWK Sets of configured issuers by OpenID discovery and cache them as their `cache-control` allows, within
limits."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
import httpx2

from answerable.adapters.oidc.sources import DISCOVERY_BYTES_MAX, DISCOVERY_PATH, PORT, discovered
from answerable.connection_fault import connection_fault
from answerable.core.identity.workload.issuer_key import KEY_SET_BYTES_MAX, key_ids
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.tokens import ISSUER_ANSWER, ISSUER_UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from answerable.adapters.oidc.sources import IssuerSource
    from answerable.ports.clock import Clock

ANSWER_SECONDS_MAX: Final = 5.0
AGE_SECONDS_MIN: Final = 60
AGE_SECONDS_DEFAULT: Final = 300
AGE_SECONDS_MAX: Final = 3_600
REFETCH_SECONDS_MIN: Final = 60
"""Minimum interval between two fetches that an unknown key id caused."""
RETRY_SECONDS_MIN: Final = 5
"""Minimum interval after a failed fetch."""

_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?([0-9]{1,9})", re.IGNORECASE)
_NOT_KEPT: Final = re.compile(r"(?:^|[,\s])no-(?:store|cache)", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class _Issuer:
    """The cached state of one issuer. Times are monotonic seconds."""

    source: IssuerSource
    client: httpx2.AsyncClient | None = None
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    key_set: bytes = b""
    ids: frozenset[str] = frozenset()
    fresh_until: float = float("-inf")
    refetch_at: float = float("-inf")
    retry_at: float = float("-inf")
    fault: Unavailable | None = None


class HttpIssuerKeys:
    """Implements ports.IssuerKeys. Reuses connections; `async with` closes them.

    Follows no redirects, sends no credentials, and ignores proxy settings of the environment.
    """

    def __init__(
        self,
        sources: Iterable[IssuerSource],
        *,
        clock: Clock,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> None:
        """Raises Malformed (`oidc.key_set`) if a configured key set is invalid."""
        self._clock = clock
        self._answer_seconds_max = answer_seconds_max
        self._issuers = {source.issuer: _Issuer(source=source) for source in sources}
        for issuer in self._issuers.values():
            if issuer.source.key_set:
                issuer.ids = key_ids(issuer.source.key_set)

    async def key_set(self, issuer: str, *, kid: str) -> bytes | None:
        known = self._issuers.get(issuer)
        if known is None:
            return None
        if known.source.key_set:
            return known.source.key_set
        # One fetch at a time per issuer: a waiting caller finds the result of the previous fetch.
        async with known.lock:
            now = self._clock.monotonic()
            stale = now >= known.fresh_until
            if stale and now < known.retry_at and known.fault is not None:
                raise known.fault
            if stale or (kid not in known.ids and now >= known.refetch_at and now >= known.retry_at):
                await self._fetch(known, now, stale=stale)
            return known.key_set

    async def aclose(self) -> None:
        """Close the connections."""
        for issuer in self._issuers.values():
            if issuer.client is not None:
                await issuer.client.aclose()
                issuer.client = None

    async def __aenter__(self) -> HttpIssuerKeys:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _fetch(self, known: _Issuer, now: float, *, stale: bool) -> None:
        """Fetch the key set. If fetching fails and the cached set is still fresh, the cached set stays in use."""
        known.refetch_at = now + REFETCH_SECONDS_MIN
        try:
            with anyio.fail_after(self._answer_seconds_max):
                url = known.source.key_set_url
                if not url:
                    address = known.source.issuer.rstrip("/") + DISCOVERY_PATH
                    url = discovered((await self._got(known, address, DISCOVERY_BYTES_MAX))[0], known.source)
                content, age = await self._got(known, url, KEY_SET_BYTES_MAX)
                ids = key_ids(content)
        except (TimeoutError, Unavailable, Malformed) as error:
            known.retry_at = now + RETRY_SECONDS_MIN
            known.fault = self._fault(known, error)
            if stale:
                # A stale set is dropped: a withdrawn key must not stay valid because the issuer does not answer.
                known.key_set, known.ids = b"", frozenset()
                raise known.fault from None
            return
        known.key_set, known.ids, known.fault = content, ids, None
        known.fresh_until = now + age

    async def _got(self, known: _Issuer, url: str, bytes_max: int) -> tuple[bytes, int]:
        """Return the content and its allowed age in seconds. Raises Unavailable."""
        client = self._client(known)
        try:
            async with client.stream("GET", url) as response:
                received = bytearray()
                # Raw bytes: nothing is decompressed, so a small response cannot expand.
                async for chunk in response.aiter_raw():
                    received += chunk
                    if len(received) > bytes_max:
                        raise _odd(known, f"more than {bytes_max} bytes")
                if response.status_code != 200:
                    raise _odd(known, f"status {response.status_code}")
                return bytes(received), _age(response.headers.get("cache-control", ""))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise _unreachable(known, connection_fault(error)) from None

    def _client(self, known: _Issuer) -> httpx2.AsyncClient:
        if known.client is None:
            context = ssl.create_default_context(cadata=known.source.authorities or None)
            known.client = httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(verify=context, trust_env=False),
                timeout=self._answer_seconds_max,
                trust_env=False,
                follow_redirects=False,
                headers={
                    "accept": "application/json",
                    "accept-encoding": "identity",
                    "user-agent": "answerable",
                },
            )
        return known.client

    def _fault(self, known: _Issuer, error: Exception) -> Unavailable:
        if isinstance(error, Unavailable):
            return error
        if isinstance(error, Malformed):
            return _odd(known, "something that is no key set")
        return _unreachable(known, f"no whole answer within {self._answer_seconds_max:g} seconds")


def _age(cache_control: str) -> int:
    if _NOT_KEPT.search(cache_control):
        return AGE_SECONDS_MIN
    found = _MAX_AGE.search(cache_control)
    age = int(found[1]) if found else AGE_SECONDS_DEFAULT
    return min(max(age, AGE_SECONDS_MIN), AGE_SECONDS_MAX)


def _unreachable(known: _Issuer, why: str) -> Unavailable:
    return ISSUER_UNREACHABLE(f"issuer {shown(known.source.issuer)} was not reached: {why}", port=PORT)


def _odd(known: _Issuer, what: str) -> Unavailable:
    return ISSUER_ANSWER(f"issuer {shown(known.source.issuer)} answered with {what}")
