"""How the broker accesses APIs: addresses that secrets may be sent to, trusted certificates, and the secrets."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.leases import LEASE_TARGET, TARGET_AUTHORITIES
from answerable.targets.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.targets.kind import TargetContext


def address_faults(url: str, *, setting: str = "url") -> tuple[str, ...]:
    """Return why no secret may be sent to this address; empty if it may."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable():
        return (f"`{setting}` is the address of the API, such as https://api.example, got {shown(url)}",)
    if parts.query or parts.fragment or "@" in parts.netloc or "%" in url:
        return (f"`{setting}` has no user, query, fragment or percent sign",)
    if parts.scheme == "http" and not is_loopback(host):
        return (f"`{setting}` is not on this machine: secrets go there by https only",)
    return ()


def context_for(url: str, authorities: str, world: TargetContext) -> ssl.SSLContext | None:
    """Return the TLS context that verifies the API's certificate; None for a local one without TLS. authorities: a
    reference to certificates; empty for the machine's. Raises Malformed (`target.authorities`) and as `secret_of` does.
    """
    if not url.startswith("https://"):
        return None
    try:
        trusted = world.secret_of(authorities).decode("ascii") if authorities else None
        context = ssl.create_default_context(cadata=trusted)
    except (ssl.SSLError, ValueError):
        raise TARGET_AUTHORITIES() from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def secret_for(world: TargetContext, reference: str) -> Callable[[], bytes]:
    """Return a function that reads the broker's own secret at each call, for an issuer: an unreadable secret makes the
    target unavailable.

    The function raises Unavailable (`lease.target`).
    """

    def read() -> bytes:
        try:
            return world.secret_of(reference)
        except (Malformed, Unavailable) as error:
            raise LEASE_TARGET(f"the broker's own secret: {error.message}") from None

    return read
