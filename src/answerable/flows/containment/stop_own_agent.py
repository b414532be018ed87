"""Let an agent stop itself: the calling instance with its sub-agents, or its whole agent, and no other agent.

The agent cannot lift the hold: people do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.containment.hold import holdable
from answerable.errors.codes.workloads import ENROLMENT_MALFORMED
from answerable.flows.revocation.place_hold import place_hold

if TYPE_CHECKING:
    from answerable.core.identity.workload.instance import Instance
    from answerable.flows.revocation.place_hold import Placed
    from answerable.flows.trust_domain.workloads import Workloads


async def stop_own_agent(workloads: Workloads, asking: Instance, over: str, reason: str) -> Placed:
    """Place a hold on the caller. asking: the instance, proved by its key. over: `instance` or `agent`. Raises
    Malformed (`enrolment.malformed`, `hold.reason`), Unavailable."""
    if over not in ("instance", "agent"):
        raise ENROLMENT_MALFORMED("`over` must be `instance` or `agent`: an agent stops only itself")
    name = str(asking.id) if over == "instance" else asking.agent
    return await place_hold(
        workloads.recorder,
        workloads.authority,
        workloads.applying.live,
        workloads.applying.counters.cuts,
        holdable(over, name),
        by=str(asking.id),
        reason=reason,
        source="agent",
        workloads=workloads,
    )
