"""Refuse revoked or held callers at the listener, before a byte of their message is read.

Such a caller is refused whatever it requests. The walk checks again for the requested action, and right before an
effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors import Refused
from answerable.flows.validity.refuse_revoked import judged_caller
from answerable.flows.walk.may_act import check_quota

if TYPE_CHECKING:
    from answerable.core.action.quota import RefusalQuota
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.flows.state.parts import AuthorityRegisters


def standing_of_caller(
    authority: AuthorityRegisters,
    quota: RefusalQuota,
    agent: AgentId,
    identity: CallerIdentity,
    key: str = "",
    certificate: str = "",
) -> Refused | None:
    """Return why nothing of this caller is done now: `revoked.<kind>`, `held.<kind>`; None if it may act.

    Does no I/O while no revocation or hold is new. Raises Unavailable if revocations or holds cannot be read.
    """
    now = authority.clock.now()
    judged = judged_caller(authority, agent, identity, key, certificate)
    if judged.revocation is not None:
        return judged.revocation.refusal()
    if not judged.free and (hold := judged.hold(now)) is not None:
        return hold.refusal()
    try:
        check_quota(quota, agent, now)
    except Refused as fault:
        return fault
    return None
