"""End delegations of duty whose basis a registry change removed, permanently and on record.

Laws: a delegation that administrators ended does not return when its basis does, so a person who was disabled and
enabled again must delegate anew; a hold or a clock ends no delegation: while a person is held their delegations do not
count, and afterwards they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors import Refused
from answerable.flows.escalation.appoint_deputy import end_duty
from answerable.flows.validity.deputy_validity import may_stand_in

if TYPE_CHECKING:
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.duty_desk import OnCallState
    from answerable.flows.state.parts import Recorder
    from answerable.ports.registry_store import RegistryStore

AWAY: Final = "person_gone"
NOT_MEMBER: Final = "not_member"
NO_DUTY: Final = "duty_gone"
NOT_DEPUTY: Final = "not_deputy"
KEY_GONE: Final = "key_gone"


async def end_invalid_deputies(
    recorder: Recorder, registry: RegistryStore, duties: OnCallState, *, by: str = ""
) -> int:
    """End the delegations that the documents in force no longer support, as `fallen` says; return how many. by: who
    applied the documents; empty where unknown, as after a change by another process.

    Raises Unavailable: the next check ends the rest.
    """
    register = duties.register
    if register is None:
        return 0
    count, now = 0, recorder.clock.now()
    for one in register.delegations():
        if registry.coming is not None:
            # It may depend on documents that another process applied and that are not in force here yet; ending it
            # would be permanent.
            break
        because = fallen(registry.current, one) if now < one.until else ""
        if not because:
            continue
        try:
            await end_duty(recorder, duties, one.id, by=by, because=because)
        except Refused:
            # Another caller ended it at the same moment.
            continue
        count += 1
    return count


def fallen(current: RegistrySnapshot, one: DeputyStatement) -> str:
    """Return the code of why a registry no longer supports this delegation: the giver or the deputy is missing or
    disabled, the giver left the group, the deputy may not stand in, the group has no duty, or the signing key file is
    no longer the giver's. Empty while it does. A removed passkey is not checked: it never returns."""
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
