"""Settings of the console: its listener, its origin, and who may sign in."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from answerable.errors import shown
from answerable.setting_fields import flag, number, reference, references, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT_DEFAULT: Final = 8768
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """The web pages for people, on a listener of their own, which agents cannot reach."""

    enabled: bool = flag(True, "serve the console; without it nobody can sign in or answer by passkey")
    host: str = text("127.0.0.1", "address to listen on; any other than loopback needs TLS")
    port: int = number(
        PORT_DEFAULT,
        "TCP port; 0 takes a free one, as does the default where `gateway.port` is 0",
        unit="port",
        minimum=0,
        maximum=65_535,
    )
    origin: str = text(
        "",
        "address under which browsers reach it, such as https://answerable.example.com; passkeys are bound to its "
        "name permanently; empty takes http://localhost:PORT, which phones cannot reach",
    )
    groups: tuple[str, ...] = texts(
        (), "groups whose members may sign in; empty lets every active registered person in"
    )
    tls_certificate: str = reference(
        "certificate chain, PEM; empty serves plain HTTP on loopback, for this machine or a proxy on it"
    )
    tls_key: str = reference("private key of the certificate, PEM")
    attestation_roots: str = reference(
        "certificates of makers of security keys, PEM: a passkey for which one of them vouches counts as attested"
    )
    oidc_secret: str = reference(
        "client secret of the console where `identity.person_issuers` lists one provider; empty for a public client"
    )
    oidc_secrets: tuple[str, ...] = references(
        "client secrets of the console where there are several, each `URL REFERENCE`; a provider without one is asked "
        "as by a public client"
    )
    session_idle_seconds: int = number(
        900, "time after which an unused session ends", unit="seconds", minimum=60, maximum=86_400
    )
    session_seconds: int = number(
        28_800, "longest lifetime of a session", unit="seconds", minimum=60, maximum=86_400
    )
    fresh_seconds: int = number(
        300,
        "how long ago the last passkey authentication may be for sensitive requests, such as a stop",
        unit="seconds",
        minimum=10,
        maximum=3_600,
    )
    sessions_max: int = number(
        1_000,
        "sessions at a time; beyond it, sign-in is refused",
        unit="sessions",
        minimum=1,
        maximum=100_000,
    )
    attempts_per_minute_max: int = number(
        30,
        "attempts per minute to sign in or enrol: of one address, of one user on this machine, of one browser in which "
        "somebody signed in within 90 days, and of one invitation",
        unit="tries",
        minimum=1,
        maximum=10_000,
    )
    streams_per_session_max: int = number(
        4, "live pages of one session", unit="streams", minimum=1, maximum=100
    )


def console_faults(settings: ConsoleSettings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault, beyond the form of each field."""
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        missing = "tls_key" if settings.tls_certificate else "tls_certificate"
        yield f"console.{missing}", "a certificate and its key must be set together: this one is missing"
    if not _is_loopback(settings.host) and not settings.tls_certificate:
        yield (
            "console.host",
            f"{shown(settings.host)} is not loopback: set `tls_certificate` and `tls_key`, or listen on 127.0.0.1",
        )
    if settings.origin and not _is_origin(settings.origin):
        yield (
            "console.origin",
            "expected https://NAME or https://NAME:PORT in small letters, or http://localhost:PORT: browsers make "
            "passkeys for nothing else",
        )
    if settings.origin.startswith("http://") and settings.tls_certificate:
        yield "console.origin", "the console has a certificate: its origin must begin with https://"
    if settings.session_idle_seconds > settings.session_seconds:
        yield "console.session_idle_seconds", "must not be longer than `session_seconds`"


def name_of_origin(origin: str) -> str:
    """Return the host in an origin, to which passkeys are bound."""
    return urlsplit(origin).hostname or ""


def _is_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    standard = {"https": 443, "http": 80}.get(parts.scheme)
    if standard is None or port in (0, standard):
        return False
    plain = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    if parts.scheme == "http" and host != "localhost":
        return False
    return origin == plain and _HOST.fullmatch(host) is not None and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
