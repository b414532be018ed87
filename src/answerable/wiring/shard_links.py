"""How the processes of one deployment hand actions on to one another, and ask what was done: sockets, and what flows
through them."""

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

    from answerable.flows.state.walk import Walk
    from answerable.wiring.setting_tree import Settings
    from answerable.wiring.shards import LogIdentity

DIRECTORY: Final = "links"
"""Below the data directory."""
SPARE_SECONDS: Final = 30.0
"""Beyond the longest that an action may take by the limits of the walk: for waiting for room in the log."""
SPARE_BYTES: Final = 65_536
"""Of a message, beside what it carries."""


def shard_link(settings: Settings, own: LogIdentity) -> SocketShardLink | None:
    """The way to the other shards; None where there are none."""
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


def shard_door(settings: Settings, own: LogIdentity, walk: Walk) -> SocketShardDoor | None:
    """Where this process takes what others hand on; None without shards.

    What comes in here is governed here or refused, and never handed on again.
    """
    if not settings.ledger.shard:
        return None
    return SocketShardDoor(
        settings.data / DIRECTORY,
        shard=settings.ledger.shard,
        origin=own.origin,
        govern=partial(govern_action, walk),
        trace=partial(effects_under, walk),
        contain=partial(told_part, walk),
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
        # Canonical JSON may be longer than what came in: an escape of six bytes is what a control character takes.
        message_bytes_max=6 * longest + SPARE_BYTES,
        stop_seconds_max=float(settings.front.grace_seconds),
    )
