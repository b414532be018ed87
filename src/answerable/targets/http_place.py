"""Check configured target URLs and build TLS contexts for them."""

from __future__ import annotations

import logging
import os
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_CERTIFICATE
from answerable.targets.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

URL_CHARS_MAX: Final = 2_048
METADATA_NAMES: Final = frozenset({"metadata", "metadata.google.internal", "instance-data"})


def address_fault(url: str) -> str:
    """Return why no request may go to this URL; empty if it is allowed. HTTPS is required except for loopback. Cloud
    metadata services are always refused, because their answers are credentials."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return f"{shown(url)} is not an address"
    bare = bool(host) and parts.username is None and not parts.query and not parts.fragment
    if not bare or len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return f"{shown(url)} is not the address of a server: no user, query, fragment or blank"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return f"{shown(url)} is not an https address"
    if host.lower().rstrip(".") in METADATA_NAMES or _is_link_local(host):
        return f"{shown(url)} is where clouds hand out credentials"
    return ""


def quiet_wire() -> None:
    """Disable the HTTP library's debug logs: they hold every response header, in which servers may echo credentials,
    and debugging may be enabled globally."""
    for name in ("httpcore2", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _is_link_local(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_link_local or (mapped is not None and mapped.is_link_local) or host == "fd00:ec2::254"


def tls_context(authorities: bytes = b"", certificate: bytes = b"", key: bytes = b"") -> ssl.SSLContext:
    """Build a client TLS context. authorities: trusted CA certificates, PEM; empty for those of this machine.
    certificate, key: of the client, PEM; the key reaches OpenSSL through memory and is never on disk. Raises Malformed
    (`target.certificate`)."""
    try:
        context = ssl.create_default_context(cadata=authorities.decode("ascii") or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate:
            _load(context, certificate, key)
    except (ssl.SSLError, ValueError, OSError):
        raise TARGET_CERTIFICATE() from None
    return context


class TlsPlace:
    """TLS settings of one server, as secret references. They are read for each connection, so that changed certificates
    take effect."""

    def __init__(
        self,
        url: str,
        *,
        secret_of: Callable[[str], bytes],
        authorities: str = "",
        certificate: str = "",
        key: str = "",
    ) -> None:
        self._is_tls = url.startswith("https:")
        self._secret_of = secret_of
        self._references = (authorities, certificate, key)
        self._known: tuple[tuple[bytes, ...], ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context; None for plain HTTP. It is rebuilt only when its inputs change, because that takes
        milliseconds. Raises Malformed, Unavailable."""
        if not self._is_tls:
            return None
        read = tuple(self._secret_of(one) if one else b"" for one in self._references)
        if self._known is None or self._known[0] != read:
            self._known = (read, tls_context(*read))
        return self._known[1]


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    descriptor = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate.rstrip(b"\n") + b"\n" + key)
        # OpenSSL accepts only a file path. This file has no name, so only processes of the same user could open it.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: b"")
    finally:
        os.close(descriptor)
