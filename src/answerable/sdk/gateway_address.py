"""Open a client for a gateway's address: `http(s)://HOST:PORT` or `unix:PATH`."""

from __future__ import annotations

import errno
import os
import re
import ssl
from typing import Final
from urllib.parse import urlsplit

import httpx2

from answerable.connection_fault import connection_fault
from answerable.errors import Malformed, shown
from answerable.errors.codes.services import SHIM_GATEWAY
from answerable.errors.codes.tokens import CLIENT_TLS
from answerable.unix_http import no_tls

CONNECT_SECONDS_MAX: Final = 10.0
READ_SECONDS_MAX: Final = 3700.0
"""Longer than the longest call that a server may be registered with; pings keep longer streams alive."""
UDS_PREFIX: Final = "unix:"
SHIM_AGENT: Final = "answerable-mcp-shim"
"""`User-Agent` of a shim, so that the gateway can tell what a client on stdio can do: it can set no header."""


def open_client(
    gateway: str, auth: httpx2.Auth | None = None, *, tls: ssl.SSLContext | None = None
) -> tuple[httpx2.AsyncClient, str]:
    """Return a client for the gateway and the base URL; nothing is read from the environment.

    tls: from `client_tls`; without it, the system's authorities are trusted and no client certificate is sent. Raises
    Malformed (`shim.gateway`).
    """
    timeout = httpx2.Timeout(READ_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)
    if gateway.startswith(UDS_PREFIX) and tls is None:
        transport = httpx2.AsyncHTTPTransport(
            uds=gateway.removeprefix(UDS_PREFIX), verify=no_tls(), trust_env=False
        )
        client = httpx2.AsyncClient(transport=transport, auth=auth, timeout=timeout, trust_env=False)
        return client, "http://localhost"
    if tls is None and not re.fullmatch(r"https?://[^/?#@\s]+/?", gateway):
        raise SHIM_GATEWAY(f"gateway {shown(gateway)} is neither http(s)://HOST:PORT nor unix:PATH")
    if tls is not None and not re.fullmatch(r"https://[^/?#@\s]+/?", gateway):
        raise SHIM_GATEWAY(f"certificates are for a gateway at https://HOST:PORT, not {shown(gateway)}")
    _require_port(gateway)
    verify = tls if tls is not None else True if gateway.startswith("https:") else no_tls()
    client = httpx2.AsyncClient(auth=auth, timeout=timeout, trust_env=False, verify=verify)
    return client, gateway.rstrip("/")


def unreached(fault: BaseException) -> str:
    """Return why a gateway cannot be reached, and what to do where its socket does not let this account in."""
    said = connection_fault(fault)
    if said != os.strerror(errno.EACCES).lower():
        return said
    return f"{said}: its socket lets in its own account, and the members of the group `gateway.socket_group`"


def _require_port(gateway: str) -> None:
    try:
        if urlsplit(gateway).port != 0:
            return
    except ValueError:
        pass
    raise SHIM_GATEWAY(f"gateway {shown(gateway)} has no port from 1 to 65535")


def client_tls(*, authorities: str = "", certificate: str = "", key: str = "") -> ssl.SSLContext:
    """Build the TLS context for a gateway, from paths of PEM files. authorities: trusted instead of the system's, if
    given.

    Raises Malformed (`client.tls`), which names the file and nothing of its content.
    """
    try:
        context = ssl.create_default_context(cafile=authorities or None)
    except (OSError, ssl.SSLError):
        raise _unusable(authorities) from None
    if certificate:
        try:
            # Without a password callback, OpenSSL would prompt at the terminal.
            context.load_cert_chain(certificate, key or None, password=lambda: b"")
        except (OSError, ssl.SSLError, ValueError):
            raise _unusable(certificate) from None
    return context


def _unusable(path: str) -> Malformed:
    return CLIENT_TLS(
        f"cannot use {shown(path)} or its key: expected certificates and keys in PEM, without a password"
    )
