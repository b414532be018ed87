"""Where a gateway is, as people write it: `http(s)://HOST:PORT` or `unix:PATH`."""

from __future__ import annotations

import re
from typing import Final

import httpx2

from answerable.errors import Malformed, shown

CONNECT_SECONDS_MAX: Final = 10.0
READ_SECONDS_MAX: Final = 3700.0
"""Longer than the longest call that a server may be registered with; pings keep longer streams alive."""
UDS_PREFIX: Final = "unix:"


def open_client(gateway: str, auth: httpx2.Auth | None = None) -> tuple[httpx2.AsyncClient, str]:
    """A client for the gateway and the base of its URLs; nothing of the environment is read.

    Raises Malformed (`shim.gateway`).
    """
    timeout = httpx2.Timeout(READ_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)
    if gateway.startswith(UDS_PREFIX):
        transport = httpx2.AsyncHTTPTransport(uds=gateway.removeprefix(UDS_PREFIX), trust_env=False)
        client = httpx2.AsyncClient(transport=transport, auth=auth, timeout=timeout, trust_env=False)
        return client, "http://localhost"
    if not re.fullmatch(r"https?://[^/?#@\s]+/?", gateway):
        raise Malformed(
            f"gateway {shown(gateway)} is neither http(s)://HOST:PORT nor unix:PATH", code="shim.gateway"
        )
    return httpx2.AsyncClient(auth=auth, timeout=timeout, trust_env=False), gateway.rstrip("/")
