"""Settings of one process among several on one data directory (a shard)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answerable.wiring.setting_tree import Settings


def with_shard(settings: Settings, name: str) -> Settings:
    """Return the settings for the process of this shard: sockets at their defaults get its name.

    Raises Malformed (`shard.name`).
    """
    _check(name)
    before = settings.ledger.shard

    def own(socket: Path, default: str) -> Path:
        stands = settings.data / _named(default, before)
        return settings.data / _named(default, name) if socket == stands else socket

    return replace(
        settings,
        ledger=replace(settings.ledger, shard=name),
        gateway=replace(settings.gateway, socket=own(settings.gateway.socket, "gateway")),
        control=replace(settings.control, socket=own(settings.control.socket, "control")),
        identity=replace(settings.identity, socket=own(settings.identity.socket, "workload")),
        search=replace(settings.search, socket=own(settings.search.socket, "search")),
    )


def shard_faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key of the shard with the fault."""
    if not settings.ledger.shard:
        return
    try:
        _check(settings.ledger.shard)
    except Malformed as fault:
        yield "ledger.shard", fault.message
    if settings.witnesses.stop_after_seconds and not settings.witnesses.shards:
        yield (
            "witnesses.stop_after_seconds",
            "stopping a shard needs witnesses of its own log: set `shards = true`, too, or 0 here",
        )


def _named(socket: str, shard: str) -> str:
    return f"{socket}-{shard}.sock" if shard else f"{socket}.sock"


def _check(name: str) -> None:
    # Imported only if there is a shard, as in `witness_settings`.
    from answerable.core.ledger.shards import checked_shard_name

    checked_shard_name(name)
