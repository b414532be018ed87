"""Place a hold on everything for a press of the panic button, once per press."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from answerable.core.containment.hold import EVERYTHING, Hold
from answerable.flows.revocation.place_hold import put_in_force

if TYPE_CHECKING:
    from answerable.core.containment.hold import HoldId
    from answerable.core.containment.press import Press
    from answerable.flows.revocation.place_hold import Placed
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess, Recorder
    from answerable.flows.trust_domain.workloads import Workloads


async def trigger_emergency_stop(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    press: Press,
    workloads: Workloads | None = None,
) -> Placed | None:
    """Hold everything for this press. Return None if the press has had a hold before, lifted or not. Raises
    Unavailable: the caller must not continue as if nothing had been pressed."""
    known = await anyio.to_thread.run_sync(authority.holds.all)
    if any(one.source == "panic" and press.is_held_by(one.rule, one.at) for one in known):
        return None
    hold = Hold(
        id=press.hold,
        what=EVERYTHING,
        at=recorder.clock.now(),
        by=press.by,
        reason=press.reason,
        source="panic",
        rule=press.id,
    )
    return await put_in_force(recorder, authority, live, cuts, hold, workloads=workloads)
