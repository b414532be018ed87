"""Settings and construction of `mariadb` targets: leases as short-lived accounts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from answerable.adapters.mariadb_accounts import (
    AdminConnections,
    MariadbIssuer,
    MariadbOwnAccount,
    MariadbRights,
    MariadbTarget,
    ScopeLimits,
    ServerPlace,
)
from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_TLS
from answerable.setting_fields import number, reference, seconds, text, texts
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext

TLS: Final = ("verify", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class MariadbSettings:
    """One MariaDB server, and the broker's own account on it."""

    host: str = text("127.0.0.1", "Name or address of the server, or the path of its Unix socket.")
    port: int = number(3306, "Its port.", unit="port", minimum=1, maximum=65_535)
    account: str = text("answerable", "The broker's own account, which makes and ends accounts.")
    password: str = reference("That account's password.")
    account_host: str = text(
        "", "From where accounts of leases may log in; empty for where the server sees the broker."
    )
    databases: tuple[str, ...] = texts((), "Databases in which leases may be granted something.")
    tls: str = text(
        "", "`verify`, or `off`; empty for `off` on loopback and Unix sockets and `verify` elsewhere."
    )
    tls_ca_file: str = text("", "Certificates that the server's is checked by; empty for the system's.")
    rows_max: int = number(
        1_000, "Rows that one call returns or changes at most.", unit="rows", minimum=1, maximum=100_000
    )
    bytes_max: int = number(
        1_048_576, "Size of the rows of one answer.", unit="bytes", minimum=1_024, maximum=16_777_216
    )
    statement_seconds_max: int = number(
        30, "How long one statement of a lease runs at most.", unit="seconds", minimum=1, maximum=3_600
    )
    sessions_max: int = number(
        3,
        "Sessions that one lease may have at a time; one is to stop another.",
        unit="sessions",
        minimum=2,
        maximum=100,
    )
    admin_connections_max: int = number(
        8, "Connections of the broker's own account.", unit="connections", minimum=1, maximum=32
    )
    admin_seconds_max: float = seconds(10.0, "How long issuing or revoking may take.", minimum=1, maximum=60)


def _faults(settings: MariadbSettings) -> tuple[str, ...]:
    faults = []
    if not settings.databases:
        faults.append("databases: name at least one database in which leases may be granted something")
    if settings.tls not in ("", *TLS):
        faults.append(f"tls: {shown(settings.tls)} is none of {', '.join(TLS)}")
    if settings.tls == "off" and not _is_here(settings.host):
        faults.append("tls: `off` is for loopback and Unix sockets only; elsewhere set `verify`")
    return tuple(faults)


def _build(settings: MariadbSettings, world: TargetContext) -> BuiltTarget:
    place = ServerPlace(
        host=settings.host,
        port=settings.port,
        account=settings.account,
        password=lambda: world.secret_of(settings.password).decode().strip() if settings.password else "",
        others=lambda: world.texts_of(settings.password),
        tls=_tls(settings),
        seconds_max=settings.admin_seconds_max,
    )
    issuer = MariadbIssuer(
        AdminConnections(place, connections_max=settings.admin_connections_max),
        entropy=world.entropy,
        limits=ScopeLimits(
            databases=frozenset(settings.databases),
            rows_max=settings.rows_max,
            seconds_max=settings.statement_seconds_max,
        ),
        sessions_max=settings.sessions_max,
        host=settings.account_host,
    )
    return BuiltTarget(
        issuer=issuer,
        target=MariadbTarget(place, bytes_max=settings.bytes_max),
        own=MariadbOwnAccount(place),
        rights=MariadbRights(),
        # One session is left to stop the statement of another.
        sessions_max=settings.sessions_max - 1,
    )


def _tls(settings: MariadbSettings) -> ssl.SSLContext | None:
    if settings.tls == "off" or (not settings.tls and _is_here(settings.host)):
        return None
    try:
        return ssl.create_default_context(cafile=settings.tls_ca_file or None)
    except (OSError, ssl.SSLError):
        raise TARGET_TLS(
            f"tls_ca_file: {shown(settings.tls_ca_file)} cannot be read as certificates"
        ) from None


def _is_here(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


KIND: Final = TargetKind(api=1, name="mariadb", settings=MariadbSettings, build=_build, faults=_faults)
