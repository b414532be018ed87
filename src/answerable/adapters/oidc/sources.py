"""Where an issuer's keys are: what may be configured, and what a discovery document may add."""

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
    """issuer: its identifier, exactly. key_set_url: where its keys are, found by discovery when empty. key_set: the
    keys themselves, where it cannot be reached. authorities: PEM of whom to believe its server certificate from, the
    system's when empty. Made by `issuer_source`, which checks."""

    issuer: str
    key_set_url: str = ""
    key_set: bytes = b""
    authorities: str = ""


def issuer_source(
    issuer: str, *, key_set_url: str = "", key_set: bytes = b"", authorities: str = ""
) -> IssuerSource:
    """Raises Malformed (`issuer.url`): HTTPS only, but for loopback addresses."""
    # An issuer whose keys are given is only a name; Kubernetes clusters call themselves what they like.
    if not key_set:
        checked_url(issuer, loopback=True)
        if key_set_url:
            checked_url(key_set_url, loopback=is_loopback(issuer))
    return IssuerSource(issuer=issuer, key_set_url=key_set_url, key_set=key_set, authorities=authorities)


def checked_url(url: str, *, loopback: bool) -> str:
    """Return it when it is an HTTPS address, or a plain one of this machine where `loopback` allows that.

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
        raise ISSUER_URL(f"{shown(url)} is not an https address")
    return url


def is_loopback(url: str) -> bool:
    """Whether it is a plain HTTP address whose host is a loopback address, or `localhost`."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return False
    try:
        return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def discovered(document: bytes, source: IssuerSource) -> str:
    """The address of the key set (OpenID Connect Discovery, sections 3 and 4.3).

    Raises Unavailable (`issuer.answer`).
    """
    try:
        found = parse(document, limits=Limits(size_bytes_max=DISCOVERY_BYTES_MAX, depth_max=8))
        if not isinstance(found, dict) or found.get("issuer") != source.issuer:
            raise ISSUER_URL("it is of another issuer")
        url = found.get("jwks_uri")
        # A remote issuer must not send us to a service of this machine.
        return checked_url(url if isinstance(url, str) else "", loopback=is_loopback(source.issuer))
    except Malformed as fault:
        message = f"the discovery document of {shown(source.issuer)} is not to be used: {fault.message}"
        raise ISSUER_ANSWER(message) from None
