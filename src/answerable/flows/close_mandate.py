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

if TYPE_CHECKING:
    from answerable.core.mandate.mandate import Mandate
    from answerable.flows.walk import Walk


async def close_mandate(walk: Walk, mandate_id: str, *, by: str) -> Mandate:
    """Close a mandate; every call is recorded. Raises Refused (`mandate.unknown`), Unavailable; `register.behind` once
    everything is done that can be done without the registers."""
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
    if walk.tokens is not None and behind is None:
        # Whoever goes by a status list is told, too.
        await anyio.to_thread.run_sync(walk.tokens.end, [Revocable("mandate", mandate.id)])
    await end_leases(walk, [("mandate", mandate.id)], why="its mandate was closed")
    try:
        await _record(walk, mandate, by)
    except Unavailable as unrecorded:
        if behind is None:
            raise
        raise told(f"mandate {mandate.id} is closed", behind, on_record=False) from unrecorded
    if behind is not None:
        raise told(f"mandate {mandate.id} is closed", behind, on_record=True)
    return mandate


async def _record(walk: Walk, mandate: Mandate, by: str) -> None:
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
    )
    _, left = await record_entry(walk, entry)
    if left is not None:
        raise left
