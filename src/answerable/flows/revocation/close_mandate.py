"""Close a mandate before it expires: the next action under it is refused, in every shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

from answerable.core.ledger import records
from answerable.core.ledger.leaves import Reference
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Unavailable, shown
from answerable.errors.codes.mandate import MANDATE_UNKNOWN
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.revocation.deny_waiting import drop_approvals, waiting_under
from answerable.flows.revocation.end_instance import written
from answerable.flows.revocation.end_leases import end_leases
from answerable.flows.revocation.end_without_room import is_in_force, told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.mandate.mandate import Mandate
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess, Recorder
    from answerable.ports.mandate_register import MandateRegister

T = TypeVar("T")


async def close_mandate(
    recorder: Recorder, authority: AuthorityRegisters, live: LiveAccess, mandate_id: str, *, by: str
) -> Mandate:
    """Close a mandate, and deny the approvals that wait under it. Every call is recorded.

    Raises Refused (`mandate.unknown`), Unavailable; `register.behind` after everything possible without the registers
    is done.
    """
    mandate = authority.mandates.find(MandateId(mandate_id))
    if mandate is None:
        raise MANDATE_UNKNOWN(f"mandate {shown(mandate_id)} is not known")
    # Close first: a stop is safe without a record. After a crash on the next line the mandate is closed; the person got
    # no answer and closes it again, which is recorded.
    behind: Unavailable | None = None
    try:
        authority.mandates.close(mandate.id)
    except Unavailable as failed:
        if not is_in_force(failed):
            raise
        behind = failed
    if behind is None:
        await _end_tokens(live, mandate.id)
    await end_leases(authority.registry, live.leases, [("mandate", mandate.id)], why="its mandate was closed")
    waiting, gone = await _stayed(lambda: waiting_under(authority, _named(mandate.id)))
    try:
        left = await _record(recorder, authority.mandates, mandate, by, waiting) or gone
    except Unavailable as unrecorded:
        if behind is None:
            raise
        raise told(f"mandate {mandate.id} is closed", behind, on_record=False) from unrecorded
    if behind is not None:
        raise told(f"mandate {mandate.id} is closed", behind, on_record=True)
    # After a crash before this line, the next start denies them, from the ledger entry.
    _, gone = await _stayed(lambda: drop_approvals(authority, _named(mandate.id)))
    left = left or gone
    if left is not None:
        raise left
    return mandate


async def closed_wholly(authority: AuthorityRegisters, live: LiveAccess, mandate: MandateId) -> None:
    """Do what follows in the registers from a closed mandate. Idempotent. Raises Unavailable; repeat it then."""
    await _end_tokens(live, mandate)
    await anyio.to_thread.run_sync(drop_approvals, authority, _named(mandate))


async def _stayed(ask: Callable[[], T]) -> tuple[T, BaseException | None]:
    """Run `ask` in a thread. Return its result, and the cancellation if the caller left; it may then run twice."""
    try:
        found = await written(ask)
    except anyio.get_cancelled_exc_class() as gone:
        # A cancellation by the event loop itself, which no cancel scope shields from.
        return ask(), gone
    return found, None


def _named(mandate: MandateId) -> frozenset[RevocationTarget]:
    return frozenset((RevocationTarget("mandate", mandate),))


async def _end_tokens(live: LiveAccess, mandate: MandateId) -> None:
    if live.tokens is not None:
        # Also updates the status lists for outside verifiers.
        await anyio.to_thread.run_sync(live.tokens.end, _named(mandate))


async def _record(
    recorder: Recorder, mandates: MandateRegister, mandate: Mandate, by: str, waiting: Sequence[Approval]
) -> BaseException | None:
    """Record the close. Returns the cancellation if the caller left, to be raised again."""
    issued = mandates.issued(mandate.id)
    if issued is not None and issued.log == recorder.ledger.origin:
        issued = Reference(entry=issued.entry, leaf=issued.leaf)
    entry = records.mandate_closed(
        mandate,
        at=recorder.clock.now(),
        sealing=sealing_for(recorder, principal_subject(mandate.principal)),
        by=by,
        pseudonym=pseudonym_of(recorder, by),
        mandate_ref=issued,
        approvals=[one.id for one in waiting],
    )
    _, left = await record_entry(recorder, entry)
    return left
