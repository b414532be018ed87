"""Whether a caller stands, asked at a door before a byte of what it sends is read.

What is refused here is refused whatever it asks for; the walk asks again, of what it asks for, and right before an
effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors import Refused
from answerable.flows.validity.refuse_revoked import judged_caller
from answerable.flows.walk.may_act import check_quota

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.flows.state.walk import Walk


def standing_of_caller(
    walk: Walk, agent: AgentId, identity: CallerIdentity, key: str = "", certificate: str = ""
) -> Refused | None:
    """Why nothing of this caller is done now: `revoked.<kind>`, `held.<kind>`; None where it stands.

    Without I/O while nothing was revoked or held since. Raises Unavailable when nobody can say.
    """
    now = walk.clock.now()
    judged = judged_caller(walk, agent, identity, key, certificate)
    if judged.revocation is not None:
        return judged.revocation.refusal()
    if not judged.free and (hold := judged.hold(now)) is not None:
        return hold.refusal()
    try:
        check_quota(walk, agent, now)
    except Refused as fault:
        return fault
    return None
