"""Send requests to an HTTP server for agents: one connection per session, one request at a time, with the lease's
credentials added."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio
import httpx2

from answerable.adapters.http_target.answers import performed
from answerable.adapters.http_target.leases import lease_behind
from answerable.adapters.http_target.requests import SAFE, sent_request
from answerable.adapters.http_target.tools import request_tools
from answerable.connection_fault import connection_fault
from answerable.core.lease.credential_redaction import Echoes
from answerable.errors import Malformed, Refused, Unavailable, UnavailableCode, shown
from answerable.errors.codes.leases import (
    TARGET_ARGUMENTS,
    TARGET_CREDENTIAL,
    TARGET_CUT,
    TARGET_LATE,
    TARGET_LOST,
    TARGET_UNREACHABLE,
)
from answerable.targets.http_place import TlsPlace, quiet_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from answerable.adapters.http_target.leases import Leases
    from answerable.adapters.http_target.requests import Sent
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential, Performed
    from answerable.errors import Effect
    from answerable.ports.clock import Clock
    from answerable.ports.upstream import Progress

_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPlace:
    """A configured server. base_url: no argument, response or name lookup can change it. headers_let: headers that
    agents may set. certificate, key, authorities: secret references; empty for none."""

    base_url: str
    headers_let: tuple[str, ...] = ()
    body_bytes_max: int = 1_048_576
    answer_bytes_max: int = 1_048_576
    connect_seconds_max: float = 5.0
    authorities: str = ""
    certificate: str = ""
    key: str = ""


class HttpTarget:
    """Implements ports.brokered_target.BrokeredTarget."""

    def __init__(
        self, place: HttpPlace, *, leases: Leases, clock: Clock, secret_of: Callable[[str], bytes]
    ) -> None:
        self._place = place
        self._leases = leases
        self._clock = clock
        self._tls = TlsPlace(
            place.base_url,
            secret_of=secret_of,
            authorities=place.authorities,
            certificate=place.certificate,
            key=place.key,
        )
        quiet_wire()

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        return request_tools(self._place.headers_let)

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[HttpSession]:
        """Yield a session of the lease. Its own connection opens with the first request and is never shared with
        another lease."""
        try:
            out = lease_behind(self._leases, credential, self._clock.now())
            transport = httpx2.AsyncHTTPTransport(
                verify=self._tls.context() or False, limits=httpx2.Limits(max_connections=1), trust_env=False
            )
        except (Refused, Malformed, Unavailable) as fault:
            raise TARGET_CREDENTIAL(fault.message) from None
        session = HttpSession(self._place, credential, transport, leases=self._leases, clock=self._clock)
        out.cuts.append(session.cut)
        try:
            async with transport:
                yield session
        finally:
            if session.cut in out.cuts:
                out.cuts.remove(session.cut)


class HttpSession:
    """Implements ports.brokered_target.TargetSession. Revoking the lease cancels the request in progress."""

    def __init__(
        self,
        place: HttpPlace,
        credential: Credential,
        transport: httpx2.AsyncHTTPTransport,
        *,
        leases: Leases,
        clock: Clock,
    ) -> None:
        self._place = place
        self._credential = credential
        self._transport = transport
        self._leases = leases
        self._clock = clock
        self._turn = anyio.Lock()
        self._under_way: anyio.CancelScope | None = None
        parts = urlsplit(place.base_url)
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._below = parts.path.rstrip("/")

    def cut(self) -> None:
        """Cancel the request in progress, because the lease was revoked."""
        if self._under_way is not None:
            self._under_way.cancel()

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        if tool not in ("read", "request"):
            raise TARGET_ARGUMENTS(f"this target has no tool {shown(tool, 40)}")
        async with self._turn:
            try:
                out = lease_behind(self._leases, self._credential, self._clock.now())
                assert out.kept.injection is not None  # noqa: S101 - whoever has a secret has one
                injection = out.kept.injection()
            except (Refused, Unavailable) as fault:
                raise self._unavailable(fault.message, code=TARGET_CREDENTIAL) from None
            place = self._place
            sent = sent_request(
                arguments,
                out.kept.scope,
                injection,
                tag=tag,
                headers_let=place.headers_let,
                body_bytes_max=place.body_bytes_max,
                methods=SAFE if tool == "read" else (),
            )
            credential_redaction = Echoes(injection.secrets)
            with anyio.CancelScope() as self._under_way:
                status, headers, body, is_cut = await self._answered(sent, credential_redaction, seconds_max)
            if self._under_way.cancelled_caught:
                raise self._unavailable(
                    "its lease was revoked in the middle", effect="unknown", code=TARGET_CUT
                )
            return performed(
                status,
                headers,
                body,
                credential_redaction=credential_redaction,
                bytes_max=place.answer_bytes_max,
                is_cut=is_cut,
                tag=tag,
            )

    async def _answered(
        self, sent: Sent, credential_redaction: Echoes, seconds_max: float
    ) -> tuple[int, list[tuple[str, str]], bytes, bool]:
        """Return status, headers and body. The body is read up to the visible limit plus the longest secret, so that a
        secret that begins before the cut is found."""
        place = self._place
        request = httpx2.Request(
            sent.method,
            self._root,
            headers=[("host", self._host), *sent.headers],
            content=sent.body,
            extensions={
                "target": f"{self._below}{sent.target}".encode("ascii"),
                "timeout": {
                    "connect": place.connect_seconds_max,
                    "read": seconds_max,
                    "write": seconds_max,
                    "pool": place.connect_seconds_max,
                },
            },
        )
        bytes_max = place.answer_bytes_max + credential_redaction.bytes_max
        try:
            with anyio.fail_after(seconds_max):
                response = await self._transport.handle_async_request(request)
                try:
                    received = bytearray()
                    # Raw bytes: nothing is decompressed, so a small response cannot expand.
                    async for chunk in response.aiter_raw():
                        received += chunk
                        if len(received) > bytes_max:
                            break
                finally:
                    with anyio.CancelScope(shield=True):
                        await response.aclose()
        except TimeoutError:
            raise self._unavailable(
                f"no whole answer within {seconds_max:g} seconds", effect="unknown", code=TARGET_LATE
            ) from None
        except _NOT_SENT as error:
            raise self._unavailable(
                f"it was not reached: {connection_fault(error)}", code=TARGET_UNREACHABLE
            ) from None
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise self._unavailable(
                f"the connection was lost: {connection_fault(error)}", effect="unknown", code=TARGET_LOST
            ) from None
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw]
        return response.status_code, headers, bytes(received[:bytes_max]), len(received) > bytes_max

    def _unavailable(self, why: str, *, code: UnavailableCode, effect: Effect = "none") -> Unavailable:
        return code(f"{shown(self._host)} does not answer: {why}", effect=effect)
