"""Settings and construction of `postgres` targets: leases as short-lived roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.postgres_roles import (
    AdminConnections,
    PostgresIssuer,
    PostgresOwnAccount,
    PostgresRights,
    PostgresTarget,
)
from answerable.setting_fields import flag, number, seconds, text
from answerable.targets.kind import BuiltTarget, TargetKind
from answerable.targets.sql.server import SqlServerSettings, server_faults

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings(SqlServerSettings):
    """One PostgreSQL server, and the broker's own account on it."""

    host: str = text("127.0.0.1", "Name or address of the server, or the folder of its Unix socket.")
    port: int = number(5432, "Its port.", unit="port", minimum=1, maximum=65_535)
    home: str = text("postgres", "Database in which roles are looked up.")
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


def _build(settings: PostgresSettings, world: TargetContext) -> BuiltTarget:
    place = settings.place(world, lock_seconds_max=settings.lock_seconds_max)
    issuer = PostgresIssuer(
        AdminConnections(place, per_database_max=settings.admin_connections_max),
        clock=world.clock,
        entropy=world.entropy,
        limits=settings.limits,
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


KIND: Final = TargetKind(
    api=1, name="postgres", settings=PostgresSettings, build=_build, faults=server_faults
)
