"""Check configured addresses of servers, and build the TLS contexts that verify them."""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_TLS

if TYPE_CHECKING:
    from urllib.parse import SplitResult


def is_loopback(host: str) -> bool:
    """Whether the host is `localhost` or a loopback address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def address_faults(address: str, schemes: tuple[str, str], *, plain_is_let: bool) -> tuple[str, ...]:
    """Return the faults of an address. schemes: the plaintext scheme, then the one with TLS."""
    parts, faults = parts_of(address)
    if parts is None:
        return faults
    plain, safe = schemes
    if parts.scheme not in schemes or not parts.hostname or parts.port == 0 or parts.path.strip("/"):
        return (f"{shown(address)} is neither {plain}://HOST:PORT nor {safe}://HOST:PORT",)
    if parts.query or parts.fragment:
        return (f"{shown(address)} says more than where the server is",)
    return plain_faults(parts, schemes, plain_is_let=plain_is_let)


def parts_of(address: str) -> tuple[SplitResult | None, tuple[str, ...]]:
    """Return the parts of an address, or None and the faults."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None, (f"{shown(address)} is no address",)
    if parts.username is not None or parts.password is not None:
        return None, ("the address holds an account or a password: these are settings of their own",)
    return parts, ()


def plain_faults(parts: SplitResult, schemes: tuple[str, str], *, plain_is_let: bool) -> tuple[str, ...]:
    """Return the fault of an address that names another host without TLS."""
    plain, safe = schemes
    if parts.scheme != plain or plain_is_let or is_loopback(parts.hostname or ""):
        return ()
    return (f"{plain}:// sends everything in the clear to another host: use {safe}://, or set `plaintext`",)


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Build a context that verifies the server's certificate and name. ca_file: the issuers to trust; empty for those
    of the system. Raises Malformed (`target.tls`)."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError):
        raise TARGET_TLS(f"{shown(ca_file)} is not a file of PEM certificates") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
