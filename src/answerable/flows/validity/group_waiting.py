"""Group the waiting approvals that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import Unavailable, shown
from answerable.errors.codes.approval import APPROVAL_GROUP_UNKNOWN
from answerable.flows.recording.rounds import until_round

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.approval_grouping import Group, Grouped
    from answerable.flows.state.parts import InProgress
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger

FOLLOW_SECONDS: Final = 2.0
"""Pause between two turns that read new approvals."""
TURN_MAX: Final = 250
"""Approvals read in one turn, so that a long queue does not delay actions."""


def groups_waiting(approvals: ApprovalRegister, under_way: InProgress, clock: Clock) -> Grouped:
    """Return the groups of all waiting approvals, and the approvals that fit no group. Raises Unavailable."""
    return under_way.groups.of(_waiting(approvals, clock))


async def follow_waiting(
    ledger: Ledger, approvals: ApprovalRegister, under_way: InProgress, clock: Clock
) -> None:
    """Read new approvals in the background until cancelled, so that opening a long queue is fast."""
    seen = -1
    while True:
        more, size = False, ledger.size
        if size != seen:
            try:
                more = under_way.groups.take_in(_waiting(approvals, clock), most=TURN_MAX)
                seen = seen if more else size
            except Unavailable:
                # The person who opens the queue gets the error; the next turn tries again.
                more = False
        await anyio.sleep(0 if more else until_round(FOLLOW_SECONDS))


def group_named(approvals: ApprovalRegister, under_way: InProgress, clock: Clock, name: str) -> Group:
    """Return the waiting group of this id. Raises Refused (`approval_group.unknown`), Unavailable."""
    found = next((one for one in groups_waiting(approvals, under_way, clock).groups if one.id == name), None)
    if found is None:
        raise APPROVAL_GROUP_UNKNOWN(
            f"there is no group {shown(name)} any more: its approvals were answered, or too few of "
            "them remain"
        )
    return found


def _waiting(approvals: ApprovalRegister, clock: Clock) -> tuple[Approval, ...]:
    return tuple(approvals.all(pending_only=True, now=clock.now()))
