"""Settings and construction of `postgres` targets: leases as short-lived roles."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from answerable.adapters.postgres_roles import (
    AdminConnections,
    PostgresIssuer,
    PostgresOwnAccount,
    PostgresRights,
    PostgresTarget,
    ScopeLimits,
    ServerPlace,
)
from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_TLS
from answerable.setting_fields import flag, number, reference, seconds, text, texts
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext

TLS: Final = ("verify", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """One PostgreSQL server, and the broker's own account on it."""

    host: str = text("127.0.0.1", "Name or address of the server, or the folder of its Unix socket.")
    port: int = number(5432, "Its port.", unit="port", minimum=1, maximum=65_535)
    account: str = text("answerable", "The broker's own account, which makes and ends roles.")
    password: str = reference("That account's password; empty where the server asks for none.")
    databases: tuple[str, ...] = texts((), "Databases in which leases may be granted something.")
    home: str = text("postgres", "Database in which roles are looked up.")
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
        2, "Sessions that one lease may have at a time.", unit="sessions", minimum=1, maximum=100
    )
    admin_connections_max: int = number(
        4,
        "Connections of the broker's own account to each database.",
        unit="connections",
        minimum=1,
        maximum=32,
    )
    admin_seconds_max: float = seconds(
        10.0, "How long one statement of the broker's own account may take.", minimum=0.1, maximum=60
    )
    lock_seconds_max: float = seconds(
        1.0,
        "How long a change of policies waits for a table, and keeps others waiting behind it.",
        minimum=0.01,
        maximum=30,
    )
    may_public_create: bool = flag(
        False, "Whether to grant also where PUBLIC may create objects in a schema of the database."
    )


def _faults(settings: PostgresSettings) -> tuple[str, ...]:
    faults = []
    if not settings.databases:
        faults.append("databases: name at least one database in which leases may be granted something")
    if settings.tls not in ("", *TLS):
        faults.append(f"tls: {shown(settings.tls)} is none of {', '.join(TLS)}")
    if settings.tls == "off" and not _is_here(settings.host):
        faults.append("tls: `off` is for loopback and Unix sockets only; elsewhere set `verify`")
    return tuple(faults)


def _build(settings: PostgresSettings, world: TargetContext) -> BuiltTarget:
    place = ServerPlace(
        host=settings.host,
        port=settings.port,
        account=settings.account,
        password=lambda: world.secret_of(settings.password).decode().strip() if settings.password else "",
        others=lambda: world.texts_of(settings.password),
        tls=_tls(settings),
        seconds_max=settings.admin_seconds_max,
        lock_seconds_max=settings.lock_seconds_max,
    )
    issuer = PostgresIssuer(
        AdminConnections(place, per_database_max=settings.admin_connections_max),
        clock=world.clock,
        entropy=world.entropy,
        limits=ScopeLimits(
            databases=frozenset(settings.databases),
            rows_max=settings.rows_max,
            seconds_max=settings.statement_seconds_max,
        ),
        home=settings.home,
        sessions_max=settings.sessions_max,
        may_public_create=settings.may_public_create,
    )
    return BuiltTarget(
        issuer=issuer,
        target=PostgresTarget(place, bytes_max=settings.bytes_max),
        own=PostgresOwnAccount(place, home=settings.home, entropy=world.entropy),
        rights=PostgresRights(),
        sessions_max=settings.sessions_max,
    )


def _tls(settings: PostgresSettings) -> ssl.SSLContext | None:
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


KIND: Final = TargetKind(api=1, name="postgres", settings=PostgresSettings, build=_build, faults=_faults)
