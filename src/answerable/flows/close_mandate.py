"""Ending a mandate before its time: the next action under it is refused, in whichever shard it was issued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from answerable.core.ledger import records
from answerable.core.ledger.leaves import Reference
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import Revocable
from answerable.errors import Refused, Unavailable, shown
from answerable.flows.end_leases import end_leases
from answerable.flows.end_without_room import is_in_force, told
from answerable.flows.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.revoke_authority import drop_approvals, waiting_under

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.mandate.mandate import Mandate
    from answerable.flows.walk import Walk


async def close_mandate(walk: Walk, mandate_id: str, *, by: str) -> Mandate:
    """Close a mandate, and deny what waits for people under it; every call is recorded.

    Raises Refused (`mandate.unknown`), Unavailable; `register.behind` once everything is done that can be done without
    the registers.
    """
    mandate = walk.mandates.find(MandateId(mandate_id))
    if mandate is None:
        raise Refused(f"mandate {shown(mandate_id)} is not known", code="mandate.unknown")
    # Stopping comes first and needs no record to be safe. A crash after the next line: it is stopped, the person got no
    # answer, closes it again, and that is recorded.
    behind: Unavailable | None = None
    try:
        walk.mandates.close(mandate.id)
    except Unavailable as failed:
        if not is_in_force(failed):
            raise
        behind = failed
    if behind is None:
        await _end_tokens(walk, mandate.id)
    await end_leases(walk, [("mandate", mandate.id)], why="its mandate was closed")
    waiting = await anyio.to_thread.run_sync(waiting_under, walk, _named(mandate.id))
    try:
        await _record(walk, mandate, by, waiting)
    except Unavailable as unrecorded:
        if behind is None:
            raise
        raise told(f"mandate {mandate.id} is closed", behind, on_record=False) from unrecorded
    if behind is not None:
        raise told(f"mandate {mandate.id} is closed", behind, on_record=True)
    # A crash before this line: the next start denies them, by the entry.
    await anyio.to_thread.run_sync(drop_approvals, walk, _named(mandate.id))
    return mandate


async def closed_wholly(walk: Walk, mandate: MandateId) -> None:
    """What follows in the registers from a mandate that is closed: done twice, it does what was left undone. Raises
    Unavailable."""
    await _end_tokens(walk, mandate)
    await anyio.to_thread.run_sync(drop_approvals, walk, _named(mandate))


def _named(mandate: MandateId) -> frozenset[Revocable]:
    return frozenset((Revocable("mandate", mandate),))


async def _end_tokens(walk: Walk, mandate: MandateId) -> None:
    if walk.tokens is not None:
        # Whoever goes by a status list is told, too.
        await anyio.to_thread.run_sync(walk.tokens.end, _named(mandate))


async def _record(walk: Walk, mandate: Mandate, by: str, waiting: Sequence[Approval]) -> None:
    issued = walk.mandates.issued(mandate.id)
    if issued is not None and issued.log == walk.ledger.origin:
        issued = Reference(entry=issued.entry, leaf=issued.leaf)
    entry = records.mandate_closed(
        mandate,
        at=walk.clock.now(),
        sealing=sealing_for(walk, principal_subject(mandate.principal)),
        by=by,
        pseudonym=pseudonym_of(walk, by),
        mandate_ref=issued,
        approvals=[one.id for one in waiting],
    )
    _, left = await record_entry(walk, entry)
    if left is not None:
        raise left
