"""Whether a caller stands, asked at a door before a byte of what it sends is read.

What is refused here is refused whatever it asks for; the walk asks again, of what it asks for, and right before an
effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors import Refused, shown
from answerable.flows.refuse_revoked import judged_caller

if TYPE_CHECKING:
    from answerable.core.identity.evidence import CallerIdentity
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.flows.walk import Walk


def standing_of_caller(
    walk: Walk, agent: AgentId, identity: CallerIdentity, key: str = "", certificate: str = ""
) -> Refused | None:
    """Why nothing of this caller is done now: `revoked.<kind>`, `held.<kind>`, `agent.held`; None where it stands.

    Without I/O while nothing was revoked or held since. Raises Unavailable when nobody can say.
    """
    now = walk.clock.now()
    judged = judged_caller(walk, agent, identity, key, certificate)
    if judged.revocation is not None:
        return judged.revocation.refusal()
    if not judged.free and (hold := judged.hold(now)) is not None:
        return hold.refusal()
    return quota_fault(walk, agent, now)


def quota_fault(walk: Walk, agent: AgentId, now: UnixMillis) -> Refused | None:
    """Why an agent that was refused too often is refused now (`agent.held`); None where it was not."""
    if not walk.quota.is_held(agent, now):
        return None
    return Refused(
        f"agent {shown(agent)} is held: it was refused too often in this window", code="agent.held"
    )
