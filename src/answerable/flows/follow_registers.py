"""Taking over what another process wrote into the registers that both read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.flows.apply_registry import check_call_seconds, policy_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.flows.walk import Walk


def follow_registers(walk: Walk, refresh: Callable[[], bool]) -> bool:
    """Read what is new; returns whether there was anything. Documents and policies change together, as when applied.

    refresh: takes over what others wrote, and says whether there was anything. Raises Unavailable, and Malformed for
    documents that this process would not have applied: it must end then.
    """
    before = walk.registry.current.digest
    if not refresh():
        return False
    current = walk.registry.current
    if current.digest != before:
        check_call_seconds(current, upstream_ms_max=walk.limits.upstream_ms_max)
        # No await since the refresh: no action sees the one without the other.
        walk.decision_point = walk.compile_policies(policy_text(current), current)
        # The values of trackers that are new have to be read; until then they are not known, and refuse.
        walk.history.adopt(current.parts.trackers)
    return True
