"""Check the settings that are names: of sockets and ports, which must differ, and of keys in signed notes."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from answerable.core.tlog.key_name import require_key_name
from answerable.errors import Malformed
from answerable.wiring.console_settings import PORT_DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.wiring.setting_tree import Settings

LOOPBACK: Final = "127.0.0.1"
SOCKET_PATH_BYTES_MAX: Final = 107
"""Longest path of a Unix socket on Linux (`sun_path`), without the terminating zero."""


def name_faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault."""
    for key, name in (
        ("ledger.origin", settings.ledger.origin),
        ("local_witness.name", settings.local_witness.name),
    ):
        try:
            # An empty setting takes a name made from the key.
            require_key_name(name or "empty")
        except Malformed as fault:
            yield key, f"{fault.message}: expected a name without spaces, `+` and control characters"
    yield from _socket_faults(settings)
    yield from _port_faults(settings)


def _ports_of(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Yield each TCP port that a server takes, with its key and the address; none that the system chooses."""
    console, identity = settings.console, settings.identity
    chosen = settings.gateway.port == 0 and console.port == PORT_DEFAULT and not console.origin
    for key, host, port in (
        ("gateway.port", settings.gateway.host, settings.gateway.port),
        ("console.port", console.host, console.port if console.enabled and not chosen else 0),
        ("identity.bundle_port", identity.bundle_host, identity.bundle_port),
        ("telemetry.metrics_port", LOOPBACK, settings.telemetry.metrics_port),
        ("local_witness.port", LOOPBACK, settings.local_witness.port if settings.witnesses.local else 0),
    ):
        if port:
            yield key, host, port


def _port_faults(settings: Settings) -> Iterator[tuple[str, str]]:
    taken: list[tuple[str, str, int]] = []
    for key, host, port in _ports_of(settings):
        same = (one for one, at, number in taken if number == port and _overlap(at, host))
        if other := next(same, ""):
            yield key, f"same port as `{other}`: each needs its own"
        taken.append((key, host, port))


def _overlap(one: str, other: str) -> bool:
    """Whether a port of one address is a port of the other, too, as it is where one stands for all of its family."""
    try:
        first, second = ip_address(one), ip_address(other)
    except ValueError:
        return one == other
    return first == second or (
        first.version == second.version and (first.is_unspecified or second.is_unspecified)
    )


def _socket_faults(settings: Settings) -> Iterator[tuple[str, str]]:
    taken: dict[str, str] = {}
    for key, socket in (
        ("gateway.socket", settings.gateway.socket),
        ("control.socket", settings.control.socket),
        ("local_witness.socket", settings.local_witness.socket),
        ("identity.socket", settings.identity.socket),
        ("broker.socket", settings.broker.socket),
    ):
        if len(os.fsencode(socket)) > SOCKET_PATH_BYTES_MAX:
            yield (
                key,
                f"a socket path has at most {SOCKET_PATH_BYTES_MAX} bytes, got {len(os.fsencode(socket))}: "
                "choose a shorter path or data directory",
            )
        if (other := taken.setdefault(os.path.normpath(socket), key)) != key:
            yield key, f"same socket as `{other}`: each needs its own"
