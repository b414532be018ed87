"""Take over what another process wrote into the shared registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import to_thread

from answerable.core.registry.parsing.in_force import in_force
from answerable.core.registry.policy_sets.publication import policy_documents
from answerable.flows.registry.apply_registry import (
    INLINE_CHARS_MAX,
    check_call_seconds,
    decision_point_for,
    tell_followers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.registry.parsing.in_force import Coming, InForce
    from answerable.flows.state.walk import Walk
    from answerable.ports.decision_point import DecisionPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    coming: Coming
    made: InForce
    decision_point: DecisionPoint


def follow_registers(walk: Walk, refresh: Callable[[], bool]) -> bool:
    """Read what is new. Return whether there was anything.

    Documents with few policies are in force on return. Documents with many, which take seconds to compile, are left to
    `follow_documents`; everything else is in force meanwhile.

    `refresh`: takes over what others wrote, and returns whether there was anything. Raises Unavailable, and Malformed
    for documents that this process would not have applied: the process must then end.
    """
    news = refresh()
    coming = walk.registry.coming
    if coming is not None and not _takes_long(coming):
        _put_into_force(walk, _compiled(walk, coming))
    return news


async def follow_documents(walk: Walk) -> bool:
    """Put into force the documents that `follow_registers` left, compiled in a thread so that the event loop is free.

    Returns whether they are in force. Raises Malformed as `follow_registers` does.
    """
    coming = walk.registry.coming
    if coming is None:
        return False
    return _put_into_force(walk, await to_thread.run_sync(_compiled, walk, coming))


def _takes_long(coming: Coming) -> bool:
    return sum(map(len, policy_documents(coming.documents).values())) > INLINE_CHARS_MAX


def _compiled(walk: Walk, coming: Coming) -> _Compiled:
    made = in_force(coming.documents)
    check_call_seconds(made.snapshot, upstream_ms_max=walk.limits.upstream_ms_max)
    return _Compiled(coming=coming, made=made, decision_point=decision_point_for(walk, made.snapshot))


def _put_into_force(walk: Walk, compiled: _Compiled) -> bool:
    """Put documents and policies into force together. Does nothing if later ones are in force by now."""
    # No await: no action sees the one without the other.
    if not walk.registry.take_over(compiled.coming, compiled.made):
        return False
    walk.decision_point = compiled.decision_point
    # Values of new trackers are unknown until read, and unknown values refuse.
    walk.history.adopt(compiled.made.snapshot.parts.trackers)
    tell_followers(walk)
    return True
