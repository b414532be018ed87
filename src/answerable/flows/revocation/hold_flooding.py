"""Place a hold on an agent that used up its quota of refusals, so that it is listed, recorded, has an end and survives
a restart.

No instance or approval ends because of it: the agent is refused until its window ends or a person lifts the hold.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from answerable.core.containment.hold import ID_BYTES, Hold, HoldTarget, hold_id, placed_by
from answerable.core.identity.names.principal import AgentId
from answerable.errors import Unavailable
from answerable.flows.revocation.place_hold import hold_and_record
from answerable.flows.validity.holds_beside_quota import QUOTA

if TYPE_CHECKING:
    from answerable.core.action.quota import RefusalQuota
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.ports.mandate_register import MandateRegister

_log: Final = logging.getLogger(__name__)


async def hold_flooding(
    recorder: Recorder, authority: AuthorityRegisters, counters: Counters, agent: AgentId, now: UnixMillis
) -> None:
    """Place the hold if the agent's quota was just used up. Never raises: the agent is held in memory in any case."""
    found = counters.quota.begun(agent, now)
    if found is None:
        return
    what = HoldTarget("mandate", found.mandate) if found.mandate else HoldTarget("agent", agent)
    wanted = Hold(
        id=hold_id(recorder.entropy.bytes(ID_BYTES)),
        what=what,
        at=now,
        by=placed_by(QUOTA),
        reason=f"agent {agent} was refused more often in this window than is written down one by one",
        expires_at=found.until,
        source="rule",
        rule=QUOTA,
    )
    try:
        await hold_and_record(recorder, authority, counters.cuts, wanted)
    except Unavailable as failed:
        _log.warning("agent %s is held past its quota, and it is not on record: %s", agent, failed.message)


def lifted_quota(mandates: MandateRegister, quota: RefusalQuota, hold: Hold) -> None:
    """Restore the whole quota of an agent after a person lifted its quota hold."""
    if hold.rule != QUOTA or not hold.lifted_at:
        return
    mandate = next((one for one in mandates.all() if one.id == hold.what.name), None)
    quota.forget(mandate.agent if mandate is not None else AgentId(hold.what.name))
