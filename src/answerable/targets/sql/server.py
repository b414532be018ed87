"""Settings that SQL servers share, and where a server is."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_TLS
from answerable.setting_fields import number, reference, text, texts
from answerable.targets.addresses import is_loopback
from answerable.targets.sql.scope import ScopeLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from answerable.targets.kind import TargetContext

Session = TypeVar("Session")

TLS: Final = ("verify", "off")
FULL_SECONDS_MAX: Final = 2.0
"""How long a login waits while the server still counts sessions that were closed before."""
FULL_PAUSE_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlace:
    """Where a server is, and the account that connects.

    host: a name, an address, or the place of a Unix socket. tls: None for no TLS. password: read for each new
    connection; empty for none. others: passwords to try if the server refuses the first, since a rotation may be under
    way. lock_seconds_max: how long a change waits for others, where the server has a limit of its own for that.
    """

    host: str
    port: int
    account: str
    password: Callable[[], str]
    tls: ssl.SSLContext | None
    seconds_max: float
    lock_seconds_max: float = 1.0
    others: Callable[[], Iterable[str]] = tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlServerSettings:
    """The server, the broker's own account on it, and limits of leases."""

    host: str
    port: int
    account: str = text("answerable", "The broker's own account, which makes and ends those of leases.")
    password: str = reference("That account's password; empty where the server asks for none.")
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
    admin_seconds_max: float

    @property
    def limits(self) -> ScopeLimits:
        """The limits of scopes."""
        return ScopeLimits(
            databases=frozenset(self.databases),
            rows_max=self.rows_max,
            seconds_max=self.statement_seconds_max,
        )

    def place(self, world: TargetContext, *, lock_seconds_max: float = 1.0) -> ServerPlace:
        """Return where the server is. Raises Malformed (`target.tls`)."""
        return ServerPlace(
            host=self.host,
            port=self.port,
            account=self.account,
            password=lambda: world.secret_of(self.password).decode().strip() if self.password else "",
            others=lambda: world.texts_of(self.password),
            tls=self._tls(),
            seconds_max=self.admin_seconds_max,
            lock_seconds_max=lock_seconds_max,
        )

    def _tls(self) -> ssl.SSLContext | None:
        if self.tls == "off" or (not self.tls and _is_here(self.host)):
            return None
        try:
            return ssl.create_default_context(cafile=self.tls_ca_file or None)
        except (OSError, ssl.SSLError):
            said = f"tls_ca_file: {shown(self.tls_ca_file)} cannot be read as certificates"
            raise TARGET_TLS(said) from None


def server_faults(settings: SqlServerSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds."""
    faults = []
    if not settings.databases:
        faults.append("databases: name at least one database in which leases may be granted something")
    if settings.tls not in ("", *TLS):
        faults.append(f"tls: {shown(settings.tls)} is none of {', '.join(TLS)}")
    if settings.tls == "off" and not _is_here(settings.host):
        faults.append("tls: `off` is for loopback and Unix sockets only; elsewhere set `verify`")
    return tuple(faults)


async def once_there_is_room(
    opened: Callable[[], Awaitable[Session]], is_full: Callable[[Exception], bool]
) -> Session:
    """Open a session, and wait for up to FULL_SECONDS_MAX while the server still counts closed ones of the account.
    is_full: whether an error says so. Raises as `opened`."""
    until = anyio.current_time() + FULL_SECONDS_MAX
    while True:
        try:
            return await opened()
        except Exception as failed:
            if not is_full(failed) or anyio.current_time() >= until:
                raise
        await anyio.sleep(FULL_PAUSE_SECONDS)


def _is_here(host: str) -> bool:
    return host.startswith("/") or is_loopback(host)
