"""End event streams whose caller has ended, or the task they were opened for.

A hold cuts streams at once (`cut_held`). An end can come from anything that a caller depends on, including the registry
and the clock, in any process, so this flow polls for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.flows.revocation.cut_held import stream_names
from answerable.flows.validity.mandate_validity import fallen

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.flows.state.streams import Stream
    from answerable.flows.state.walk import Walk


def cut_ended(walk: Walk) -> int:
    """Cut every stream of this process that depends on something that has ended. Return how many were cut.

    Raises Unavailable. Does no I/O while nothing has changed.
    """
    now, count = walk.clock.now(), 0
    for stream in list(walk.streams):
        if _has_ended(walk, stream, now):
            walk.streams.discard(stream)
            stream.cut()
            count += 1
    return count


def _has_ended(walk: Walk, stream: Stream, now: UnixMillis) -> bool:
    caller = stream.caller
    agent = walk.registry.current.agents.get(caller.agent)
    if agent is None or agent.status != "active" or not walk.stands(caller.identity, now):
        return True
    if walk.revocations.find(stream_names(walk, stream)) is not None:
        return True
    return stream.delegation_lineage is not None and _task_has_ended(walk, stream.delegation_lineage, now)


def _task_has_ended(walk: Walk, delegation_lineage: DelegationLineage, now: UnixMillis) -> bool:
    mandate = delegation_lineage.mandate
    if walk.mandates.state(mandate.id) != "open":
        return True
    if now >= mandate.expires_at or any(now >= hop.expires_at for hop in delegation_lineage.hops):
        return True
    return fallen(walk, mandate) is not None
