"""Connect the processes of one deployment: sockets by which they hand actions to each other and query past effects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.adapters.shard_socket import LinkLimits, SocketShardDoor, SocketShardLink
from answerable.flows.drills.report_containment import told_part
from answerable.flows.revocation.trace_effects import effects_under
from answerable.flows.walk.govern_action import govern_action
from answerable.wiring.shards import published_shards

if TYPE_CHECKING:
    import anyio
    from anyio.abc import TaskStatus

    from answerable.flows.state.parts import LiveAccess, Recorder
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.wiring.setting_tree import Settings
    from answerable.wiring.shards import LogIdentity

DIRECTORY: Final = "links"
"""Directory of the sockets, below the data directory."""
SPARE_SECONDS: Final = 30.0
"""Time added to the longest action by the walk's limits: for waiting for room in the log."""
SPARE_BYTES: Final = 65_536
"""Bytes of a message in addition to its contents."""


def shard_link(settings: Settings, own: LogIdentity) -> SocketShardLink | None:
    """Return the client of the other shards; None without shards."""
    shard = settings.ledger.shard
    if not shard:
        return None
    return SocketShardLink(
        settings.data / DIRECTORY,
        base=own.origin.removesuffix(f"/{shard}"),
        own=shard,
        shards=lambda: [one.name for one in published_shards(settings)],
        limits=_limits(settings),
    )


def shard_door(
    settings: Settings,
    own: LogIdentity,
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    live: LiveAccess,
) -> SocketShardDoor | None:
    """Return the listener for actions from other shards; None without shards.

    An action received here is governed here or refused, and never handed on again.
    """
    if not settings.ledger.shard:
        return None
    return SocketShardDoor(
        settings.data / DIRECTORY,
        shard=settings.ledger.shard,
        origin=own.origin,
        govern=partial(govern_action, recorder, planning, deciding, live),
        trace=partial(effects_under, recorder, planning.authority),
        contain=partial(told_part, recorder, planning.authority, live.scans, deciding.asking.limits),
        limits=_limits(settings),
    )


async def serve_link(door: SocketShardDoor, stop: anyio.Event, *, task_status: TaskStatus[None]) -> None:
    """Serve until `stop` is set. Raises Unavailable (`shard.directory`, `shard.address`)."""
    await door.serve(stop=stop, started=task_status.started)


def _limits(settings: Settings) -> LinkLimits:
    walk = settings.walk
    longest = max(settings.gateway.body_bytes_max, settings.upstreams.result_bytes_max)
    return LinkLimits(
        answer_seconds_max=(walk.intent_ttl_ms + walk.upstream_ms_max) / 1000 + SPARE_SECONDS,
        # Canonical JSON may be longer than the input: a control character becomes an escape of six bytes.
        message_bytes_max=6 * longest + SPARE_BYTES,
        stop_seconds_max=float(settings.front.grace_seconds),
    )
