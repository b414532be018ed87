"""Check where an issuer's keys come from: the configured source, and the key set URL of a discovery document."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from answerable.core.canonical import Limits, parse
from answerable.errors import Malformed, shown
from answerable.errors.codes.tokens import ISSUER_ANSWER, ISSUER_URL

PORT: Final = "issuer_keys"
URL_CHARS_MAX: Final = 2048
DISCOVERY_BYTES_MAX: Final = 131_072
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSource:
    """The source of one issuer's keys. Created by `issuer_source`, which checks it.

    issuer: its identifier, exactly. key_set_url: URL of its keys; empty for discovery.
    key_set: the keys themselves, for an issuer that cannot be reached.
    authorities: trusted CA certificates for its server, PEM; empty for the system's.
    """

    issuer: str
    key_set_url: str = ""
    key_set: bytes = b""
    authorities: str = ""


def issuer_source(
    issuer: str, *, key_set_url: str = "", key_set: bytes = b"", authorities: str = ""
) -> IssuerSource:
    """Check and return a source. URLs must be HTTPS, except on loopback. Raises Malformed (`issuer.url`)."""
    # With a given key set, the issuer is only a name: Kubernetes clusters use arbitrary ones.
    if not key_set:
        checked_url(issuer, loopback=True)
        if key_set_url:
            checked_url(key_set_url, loopback=is_loopback(issuer))
    return IssuerSource(issuer=issuer, key_set_url=key_set_url, key_set=key_set, authorities=authorities)


def checked_url(url: str, *, loopback: bool) -> str:
    """Return the URL if it is HTTPS, or plain HTTP on loopback if `loopback` is set.

    Raises Malformed (`issuer.url`).
    """
    try:
        parts = urlsplit(url)
        bare = bool(parts.hostname) and parts.username is None and not parts.query and not parts.fragment
        good = bare and len(url) <= URL_CHARS_MAX and url.isascii() and url.isprintable()
        _ = parts.port
    except ValueError:
        good = False
    if not good or " " in url or not (url.startswith("https://") or (loopback and is_loopback(url))):
        raise ISSUER_URL(f"{shown(url)} is not an https URL")
    return url


def is_loopback(url: str) -> bool:
    """Whether it is a plain HTTP URL whose host is `localhost` or a loopback address."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return False
    try:
        return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def discovered(document: bytes, source: IssuerSource) -> str:
    """Return the key set URL of a discovery document (OpenID Connect Discovery, sections 3 and 4.3).

    Raises Unavailable (`issuer.answer`).
    """
    try:
        found = parse(document, limits=Limits(size_bytes_max=DISCOVERY_BYTES_MAX, depth_max=8))
        if not isinstance(found, dict) or found.get("issuer") != source.issuer:
            raise ISSUER_URL("it names another issuer")
        url = found.get("jwks_uri")
        # A remote issuer must not direct requests to a service of this machine (SSRF).
        return checked_url(url if isinstance(url, str) else "", loopback=is_loopback(source.issuer))
    except Malformed as fault:
        message = f"the discovery document of {shown(source.issuer)} is not valid: {fault.message}"
        raise ISSUER_ANSWER(message) from None
