"""Delegations of duty end with what they came from: by documents that take it away, for good and on record.

Laws: what administrators took away does not come back by giving it back, so who was disabled and is there again hands
on anew; a hold or a clock ends nothing: while a person is held their delegations do not count, and after that they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors import Refused
from answerable.flows.escalation.appoint_deputy import end_duty
from answerable.flows.validity.deputy_validity import may_stand_in

if TYPE_CHECKING:
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.walk import Walk

AWAY: Final = "person_gone"
NOT_MEMBER: Final = "not_member"
NO_DUTY: Final = "duty_gone"
NOT_DEPUTY: Final = "not_deputy"
KEY_GONE: Final = "key_gone"


async def end_invalid_deputies(walk: Walk, *, by: str = "") -> int:
    """End those that the documents in force carry no more, as `fallen` says; how many. by: who applied them; empty
    where that is not known here, as of another process.

    Raises Unavailable: what is left is ended by the next look.
    """
    register = walk.duties.register
    if register is None:
        return 0
    count, now = 0, walk.clock.now()
    for one in register.delegations():
        if walk.registry.coming is not None:
            # It may rest on what another process has applied and is not in force here yet: it is for good.
            break
        because = fallen(walk.registry.current, one) if now < one.until else ""
        if not because:
            continue
        try:
            await end_duty(walk, one.id, by=by, because=because)
        except Refused:
            # Somebody else has ended it at the same moment.
            continue
        count += 1
    return count


def fallen(current: RegistrySnapshot, one: DeputyStatement) -> str:
    """Why a registry carries this delegation no more: who gave it or the deputy is not there or disabled, the one is
    not of the group or the other may not stand in, the group has no duty, or the key file it is signed with is theirs
    no more. Empty while it does. A passkey that was removed never comes back, and needs no end."""
    of, to = current.principals.get(one.of), current.principals.get(one.to)
    if of is None or to is None:
        return AWAY
    duty = current.duties.get(one.group)
    if duty is None:
        return NO_DUTY
    if one.group not in of.groups:
        return NOT_MEMBER
    if not may_stand_in(duty, to):
        return NOT_DEPUTY
    if not one.credential and all(key.thumbprint != one.key for key in of.keys):
        return KEY_GONE
    return ""
