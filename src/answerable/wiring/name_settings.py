"""Check the settings that are names: of sockets, which must differ, and of keys in signed notes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from answerable.core.tlog.key_name import require_key_name
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.wiring.setting_tree import Settings

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
