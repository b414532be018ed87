"""Cut upstream calls in flight and event streams within the reach of a hold.

Laws: cutting a call cancels only that call. Its outcome is recorded as usual, as indeterminate unless the upstream
reported the end. A stream that is cut sends nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.containment.reach import reach_of, server_reach
from answerable.flows.validity.refuse_revoked import agent_names, caller_names, task_names

if TYPE_CHECKING:
    import anyio

    from answerable.core.containment.hold import Hold, HoldId, HoldTarget
    from answerable.core.mandate.revocation import RevocationTarget
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess, OpenIntent
    from answerable.flows.state.streams import Stream


def cut_held(
    open_intents: dict[int, OpenIntent],
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
) -> int:
    """Cut every call and stream of this process that is held now. Return how many were cut. Raises Unavailable."""
    now, count = authority.clock.now(), 0
    for index, task in list(live.calls.items()):
        intent = open_intents.get(index)
        hold = (
            authority.holds.find(intent.reach, now) if intent is not None and index not in live.cut else None
        )
        if hold is not None:
            live.cut[index] = hold
            task.cancel()
            count += _counted(cuts, hold)
    for stream in list(live.streams):
        hold = hold_on(authority, stream)
        if hold is not None:
            live.streams.discard(stream)
            stream.cut()
            count += _counted(cuts, hold)
    return count


async def end_listening(streams: set[Stream], stopping: anyio.Event) -> None:
    """On shutdown, end streams that only listen and would never end by themselves. Requests get their grace period."""
    await stopping.wait()
    for stream in [one for one in streams if one.listens]:
        streams.discard(stream)
        stream.cut()


def _counted(cuts: dict[HoldId, int], hold: Hold) -> int:
    cuts[hold.id] = cuts.get(hold.id, 0) + 1
    return 1


def hold_on(authority: AuthorityRegisters, stream: Stream) -> Hold | None:
    """Return the first hold that reaches a stream now, or None. Raises Unavailable."""
    return authority.holds.find(_reach_of_stream(authority, stream), authority.clock.now())


def stream_names(authority: AuthorityRegisters, stream: Stream) -> tuple[RevocationTarget, ...]:
    """Return the names of a stream: those of its task, or of its caller alone if no task is known. Does no I/O."""
    caller = stream.caller
    if stream.delegation_lineage is not None:
        return task_names(
            authority, caller, stream.delegation_lineage.mandate, stream.delegation_lineage.hops
        )
    return (
        *agent_names(authority, caller.agent),
        *caller_names(caller.identity, (caller.key, caller.certificate)),
    )


def _reach_of_stream(authority: AuthorityRegisters, stream: Stream) -> tuple[HoldTarget, ...]:
    current = authority.registry.current
    return (*reach_of(stream_names(authority, stream), current), *server_reach(stream.server, current))
