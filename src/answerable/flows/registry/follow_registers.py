"""Take over what another process wrote into the shared registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import to_thread

from answerable.core.registry.parsing.in_force import in_force
from answerable.core.registry.policy_sets.publication import policy_documents
from answerable.flows.registry.apply_registry import (
    INLINE_CHARS_MAX,
    decision_point_for,
    tell_followers,
)
from answerable.flows.registry.check_documents import check_call_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.decision.history import History
    from answerable.core.registry.parsing.in_force import Coming, InForce
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.registry_store import RegistryStore


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    coming: Coming
    made: InForce
    decision_point: DecisionPoint


def follow_registers(
    registry: RegistryStore,
    history: History,
    policies: PolicyState,
    limits: WalkLimits,
    refresh: Callable[[], bool],
) -> bool:
    """Read what is new. Return whether there was anything.

    Documents with few policies are in force on return. Documents with many, which take seconds to compile, are left to
    `follow_documents`; everything else is in force meanwhile.

    `refresh`: takes over what others wrote, and returns whether there was anything. Raises Unavailable, and Malformed
    for documents that this process would not have applied: the process must then end.
    """
    news = refresh()
    coming = registry.coming
    if coming is not None and not _takes_long(coming):
        _put_into_force(registry, history, policies, _compiled(policies, limits, coming))
    return news


async def follow_documents(
    registry: RegistryStore, history: History, policies: PolicyState, limits: WalkLimits
) -> bool:
    """Put into force the documents that `follow_registers` left, compiled in a thread so that the event loop is free.

    Returns whether they are in force. Raises Malformed as `follow_registers` does.
    """
    coming = registry.coming
    if coming is None:
        return False
    return _put_into_force(
        registry, history, policies, await to_thread.run_sync(_compiled, policies, limits, coming)
    )


def _takes_long(coming: Coming) -> bool:
    return sum(map(len, policy_documents(coming.documents).values())) > INLINE_CHARS_MAX


def _compiled(policies: PolicyState, limits: WalkLimits, coming: Coming) -> _Compiled:
    made = in_force(coming.documents)
    check_call_seconds(made.snapshot, upstream_ms_max=limits.upstream_ms_max)
    return _Compiled(coming=coming, made=made, decision_point=decision_point_for(policies, made.snapshot))


def _put_into_force(
    registry: RegistryStore, history: History, policies: PolicyState, compiled: _Compiled
) -> bool:
    """Put documents and policies into force together. Does nothing if later ones are in force by now."""
    # No await: no action sees the one without the other.
    if not registry.take_over(compiled.coming, compiled.made):
        return False
    policies.decision_point = compiled.decision_point
    # Values of new trackers are unknown until read, and unknown values refuse.
    history.adopt(compiled.made.snapshot.parts.trackers)
    tell_followers(policies)
    return True
