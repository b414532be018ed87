"""Settings and construction of `mariadb` targets: leases as short-lived accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.mariadb_accounts import (
    AdminConnections,
    MariadbIssuer,
    MariadbOwnAccount,
    MariadbRights,
    MariadbTarget,
)
from answerable.setting_fields import number, seconds, text
from answerable.targets.kind import BuiltTarget, TargetKind
from answerable.targets.sql.server import SqlServerSettings, server_faults

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext


@dataclass(frozen=True, slots=True, kw_only=True)
class MariadbSettings(SqlServerSettings):
    """One MariaDB server, and the broker's own account on it."""

    host: str = text("127.0.0.1", "Name or address of the server, or the path of its Unix socket.")
    port: int = number(3306, "Its port.", unit="port", minimum=1, maximum=65_535)
    account_host: str = text(
        "", "From where accounts of leases may log in; empty for where the server sees the broker."
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


def _build(settings: MariadbSettings, world: TargetContext) -> BuiltTarget:
    place = settings.place(world)
    issuer = MariadbIssuer(
        AdminConnections(place, connections_max=settings.admin_connections_max),
        entropy=world.entropy,
        limits=settings.limits,
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


KIND: Final = TargetKind(api=1, name="mariadb", settings=MariadbSettings, build=_build, faults=server_faults)
