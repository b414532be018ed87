"""End event streams whose caller has ended, or the task they were opened for.

A hold cuts streams at once (`cut_held`). An end can come from anything that a caller depends on, including the registry
and the clock, in any process, so this flow polls for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.flows.revocation.cut_held import stream_names
from answerable.flows.validity.mandate_validity import fallen

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.flows.state.streams import Stream


def cut_ended(
    authority: AuthorityRegisters, streams: set[Stream], stands: Callable[[CallerIdentity, UnixMillis], bool]
) -> int:
    """Cut every stream of this process that depends on something that has ended. Return how many were cut.

    Raises Unavailable. Does no I/O while nothing has changed.
    """
    now, count = authority.clock.now(), 0
    for stream in list(streams):
        if _has_ended(authority, stands, stream, now):
            streams.discard(stream)
            stream.cut()
            count += 1
    return count


def _has_ended(
    authority: AuthorityRegisters,
    stands: Callable[[CallerIdentity, UnixMillis], bool],
    stream: Stream,
    now: UnixMillis,
) -> bool:
    caller = stream.caller
    agent = authority.registry.current.agents.get(caller.agent)
    if agent is None or agent.status != "active" or not stands(caller.identity, now):
        return True
    if authority.revocations.find(stream_names(authority, stream)) is not None:
        return True
    return stream.delegation_lineage is not None and _task_has_ended(
        authority, stream.delegation_lineage, now
    )


def _task_has_ended(
    authority: AuthorityRegisters, delegation_lineage: DelegationLineage, now: UnixMillis
) -> bool:
    mandate = delegation_lineage.mandate
    if authority.mandates.state(mandate.id) != "open":
        return True
    if now >= mandate.expires_at or any(now >= hop.expires_at for hop in delegation_lineage.hops):
        return True
    return fallen(authority, mandate) is not None
