"""An agent past its quota of refusals is held like anybody else: on the list, on record, with an end, across a restart.

No instance ends for it, and no approval: it is refused until its window ends or people lift the hold.
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
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.walk import Walk

_log: Final = logging.getLogger(__name__)


async def hold_flooding(walk: Walk, agent: AgentId, now: UnixMillis) -> None:
    """Where its quota has just been used up. Never raises: it is held in memory all the same."""
    found = walk.quota.begun(agent, now)
    if found is None:
        return
    what = HoldTarget("mandate", found.mandate) if found.mandate else HoldTarget("agent", agent)
    wanted = Hold(
        id=hold_id(walk.entropy.bytes(ID_BYTES)),
        what=what,
        at=now,
        by=placed_by(QUOTA),
        reason=f"agent {agent} was refused more often in this window than is written down one by one",
        expires_at=found.until,
        source="rule",
        rule=QUOTA,
    )
    try:
        await hold_and_record(walk, wanted)
    except Unavailable as failed:
        _log.warning("agent %s is held past its quota, and it is not on record: %s", agent, failed.message)


def lifted_quota(walk: Walk, hold: Hold) -> None:
    """People lifted such a hold: who it was of has its whole quota again."""
    if hold.rule != QUOTA or not hold.lifted_at:
        return
    mandate = next((one for one in walk.mandates.all() if one.id == hold.what.name), None)
    walk.quota.forget(mandate.agent if mandate is not None else AgentId(hold.what.name))
