"""Cut upstream calls in flight and event streams within the reach of a hold.

Laws: cutting a call cancels only that call. Its outcome is recorded as usual, as indeterminate unless the upstream
reported the end. A stream that is cut sends nothing more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from answerable.core.action.outcome import Outcome
from answerable.core.containment.reach import reach_of, server_reach
from answerable.flows.validity.refuse_revoked import agent_names, caller_names, task_names

if TYPE_CHECKING:
    import anyio

    from answerable.core.containment.hold import Hold, HoldTarget
    from answerable.core.ledger.warrant import Warrant
    from answerable.core.mandate.revocation import RevocationTarget
    from answerable.flows.state.streams import Stream
    from answerable.flows.state.walk import Walk
    from answerable.ports.upstream import Progress


async def perform_warrant(walk: Walk, warrant: Warrant, progress: Progress | None) -> Outcome:
    """Perform a warrant as `Upstream.perform` does, and raise as it does. A call that a hold cut returns an outcome
    that says so."""
    calls, index, task = walk.calls, warrant.intent.index, asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    calls[index] = task
    walk.opened.ring()
    try:
        return await walk.upstream.perform(warrant, progress=progress)
    except asyncio.CancelledError:
        hold = walk.cut.get(index)
        # Any other cancellation is of the whole task, which must continue to be cancelled.
        if hold is None or task.uncancel() > 0:
            raise
        said = f"the call was cut: {hold.said()}"
        return Outcome(status="indeterminate" if warrant.redeemed else "not_started", detail=said)
    finally:
        del calls[index]
        walk.cut.pop(index, None)


def cut_held(walk: Walk) -> int:
    """Cut every call and stream of this process that is held now. Return how many were cut. Raises Unavailable."""
    now, count = walk.clock.now(), 0
    for index, task in list(walk.calls.items()):
        intent = walk.open_intents.get(index)
        hold = walk.holds.find(intent.reach, now) if intent is not None and index not in walk.cut else None
        if hold is not None:
            walk.cut[index] = hold
            task.cancel()
            count += _counted(walk, hold)
    for stream in list(walk.streams):
        hold = hold_on(walk, stream)
        if hold is not None:
            walk.streams.discard(stream)
            stream.cut()
            count += _counted(walk, hold)
    return count


async def end_listening(walk: Walk, stopping: anyio.Event) -> None:
    """On shutdown, end streams that only listen and would never end by themselves. Requests get their grace period."""
    await stopping.wait()
    for stream in [one for one in walk.streams if one.listens]:
        walk.streams.discard(stream)
        stream.cut()


def _counted(walk: Walk, hold: Hold) -> int:
    walk.cuts[hold.id] = walk.cuts.get(hold.id, 0) + 1
    return 1


def hold_on(walk: Walk, stream: Stream) -> Hold | None:
    """Return the first hold that reaches a stream now, or None. Raises Unavailable."""
    return walk.holds.find(_reach_of_stream(walk, stream), walk.clock.now())


def stream_names(walk: Walk, stream: Stream) -> tuple[RevocationTarget, ...]:
    """Return the names of a stream: those of its task, or of its caller alone if no task is known. Does no I/O."""
    caller = stream.caller
    if stream.delegation_lineage is not None:
        return task_names(walk, caller, stream.delegation_lineage.mandate, stream.delegation_lineage.hops)
    return (
        *agent_names(walk, caller.agent),
        *caller_names(caller.identity, (caller.key, caller.certificate)),
    )


def _reach_of_stream(walk: Walk, stream: Stream) -> tuple[HoldTarget, ...]:
    current = walk.registry.current
    return (*reach_of(stream_names(walk, stream), current), *server_reach(stream.server, current))
