"""Post security event tokens (push delivery, RFC 8935) and webhook messages to receivers over HTTP."""

from __future__ import annotations

import ssl
from functools import cached_property
from typing import TYPE_CHECKING

import anyio
import httpx2

from answerable.connection_fault import connection_fault
from answerable.errors.codes.events import EVENT_POST_AUTHORITIES, EVENT_POST_UNREACHABLE
from answerable.ports.event_post import ANSWER_BYTES_MAX, Posted

if TYPE_CHECKING:
    from collections.abc import Mapping


class HttpEventPost:
    """Implements ports.event_post.EventPost. Each message opens its own connection: messages are rare, and receivers
    share no connection state."""

    def __init__(self, *, answer_seconds_max: float, authorities: bytes = b"") -> None:
        """authorities: trusted CA certificates, PEM; empty for those of this machine. Raises Malformed
        (`event_post.authorities`)."""
        self._answer_seconds_max = answer_seconds_max
        self._authorities = authorities
        if authorities:
            _ = self._context

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Built for the first message where the machine's authorities are trusted: to read them all takes 20 ms, and
        most servers send none."""
        try:
            context = ssl.create_default_context(cadata=self._authorities.decode("ascii") or None)
        except (ssl.SSLError, ValueError):
            raise EVENT_POST_AUTHORITIES() from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        try:
            with anyio.fail_after(self._answer_seconds_max):
                return await self._posted(url, headers, body)
        except TimeoutError:
            why = f"no whole answer within {self._answer_seconds_max:g} seconds"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            why = connection_fault(error)
        raise EVENT_POST_UNREACHABLE(f"a receiver of events cannot be reached: {why}")

    async def _posted(self, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        transport = httpx2.AsyncHTTPTransport(verify=self._context, trust_env=False)
        sent = {"accept-encoding": "identity", "user-agent": "answerable", **headers}
        async with (
            httpx2.AsyncClient(
                transport=transport, timeout=self._answer_seconds_max, trust_env=False, follow_redirects=False
            ) as client,
            client.stream("POST", url, content=body, headers=sent) as response,
        ):
            received = bytearray()
            # Raw bytes: nothing is decompressed, so a small response cannot expand.
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) >= ANSWER_BYTES_MAX:
                    break
            return Posted(
                status=response.status_code,
                body=bytes(received[:ANSWER_BYTES_MAX]),
                retry_after=_seconds(response.headers.get("retry-after", "")),
            )


def _seconds(text: str) -> int:
    """Return the seconds of a `retry-after` header; 0 if it holds a date. Dates are ignored: clocks differ, and the
    sender's own pause serves as well."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0
