"""Place a hold: stop a named agent, mandate, tool or other target at once, until the hold is lifted or expires.

The stop comes first and is safe without a record. Once the register's `place` has returned, no process starts anything
more within the hold's reach. The later steps deny what waits, record the hold and end what is open. After a crash
between register and ledger, the register marks the hold as unrecorded and the next start resumes there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.core.containment.hold import ID_BYTES, Hold, described, hold_id
from answerable.core.containment.reach import reach_of
from answerable.core.ledger import records_holds
from answerable.core.ledger.subject import LOG_SUBJECT, principal_subject
from answerable.errors import Unavailable
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.revocation.cut_held import cut_held
from answerable.flows.revocation.deny_waiting import deny_approvals
from answerable.flows.revocation.end_instance import end_instances
from answerable.flows.revocation.end_leases import end_leases
from answerable.flows.revocation.end_without_room import is_in_force, told
from answerable.flows.revocation.revoke_authority import names_of_instance
from answerable.flows.revocation.trace_effects import in_flight_under
from answerable.flows.validity.refuse_revoked import mandate_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import ApprovalId
    from answerable.core.containment.hold import HoldId, HoldSource, HoldTarget
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.ledger.effects import InFlight
    from answerable.core.mandate.mandate import MandateId
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess, Recorder
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.hold_register import HoldRegister

GRACE_MILLIS: Final = 10_000
"""How long a hold may wait for the process that placed it to record it; then any process does."""
NAMED_MAX: Final = 200
"""Mandates and instances that an answer names; the rest are counted."""
ENDED_AT_A_TIME: Final = 256
BECAUSE: Final = "held"
"""Reason for ended instances in the ledger: the same process is admitted again after the lift, if it attests anew."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What a hold stopped, and for which actions it came too late.

    `is_new`: whether this call placed it; otherwise `hold` is the one already in force. `in_flight`: actions of this
    process within its reach that had started and not ended. `mandates`: open ones within its reach. `approvals`:
    waiting ones that are now denied. `instances`: those that ended. `cut`: upstream calls and streams that this process
    ended. `recorded`: False if the ledger or the register of instances accepts no write; the hold is in force, and is
    recorded once there is room.
    """

    hold: Hold
    is_new: bool
    in_flight: tuple[InFlight, ...]
    mandates: tuple[MandateId, ...]
    mandates_count: int
    approvals: tuple[ApprovalId, ...]
    instances: tuple[SpiffeId, ...]
    instances_count: int
    cut: int
    recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A hold that every process sees, before its consequences are carried out.

    `is_new`, `in_flight`: as in `Placed`. `behind`: why only this process sees it, if so.
    """

    hold: Hold
    is_new: bool
    in_flight: tuple[InFlight, ...]
    behind: Unavailable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOut:
    """Consequences of a hold; fields as in `Placed`."""

    approvals: tuple[ApprovalId, ...]
    cut: int
    instances: tuple[SpiffeId, ...]
    recorded: bool


async def place_hold(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    what: HoldTarget,
    *,
    by: str,
    reason: str = "",
    expires_at: int = 0,
    source: HoldSource = "person",
    rule: str = "",
    workloads: Workloads | None = None,
) -> Placed:
    """Put a hold into force. If it is in force already, return that one and complete what a crash left undone.

    `by`: the operator, as the endpoint knows them. `expires_at`: Unix milliseconds; 0 for no end. `workloads`: for
    ending instances. Raises Malformed (`hold.reason`, `hold.expiry`), and Unavailable if it is not known what is in
    force, or whether this hold is.
    """
    wanted = Hold(
        id=hold_id(recorder.entropy.bytes(ID_BYTES)),
        what=what,
        at=recorder.clock.now(),
        by=by,
        reason=reason,
        expires_at=expires_at,
        source=source,
        rule=rule,
    )
    return await put_in_force(recorder, authority, live, cuts, wanted, workloads=workloads)


async def put_in_force(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    wanted: Hold,
    *,
    workloads: Workloads | None = None,
) -> Placed:
    """As `place_hold`, for a hold that already has its id.

    Raises Unavailable; `register.behind` after everything possible without the registers is done.
    """
    with anyio.CancelScope(shield=True):
        found = await hold_everywhere(recorder, authority, cuts, wanted)
        done = await carry_out(
            recorder, authority, live, cuts, found.hold, found.in_flight, workloads=workloads
        )
    if found.behind is not None:
        on_record = await anyio.to_thread.run_sync(authority.holds.is_recorded, found.hold.id)
        what = described(found.hold.what)
        raise told(f"{what} is held ({found.hold.id})", found.behind, on_record=on_record)
    mandates = await anyio.to_thread.run_sync(open_mandates, authority, found.hold)
    return Placed(
        hold=found.hold,
        is_new=found.is_new,
        in_flight=found.in_flight,
        mandates=mandates[:NAMED_MAX],
        mandates_count=len(mandates),
        approvals=done.approvals,
        instances=done.instances[:NAMED_MAX],
        instances_count=len(done.instances),
        cut=done.cut,
        recorded=done.recorded,
    )


async def hold_everywhere(
    recorder: Recorder, authority: AuthorityRegisters, cuts: dict[HoldId, int], wanted: Hold
) -> InForce:
    """Put a hold into force, even if it cannot be written, and do nothing else. Raises Unavailable."""
    # 1. In force, in every process. After a crash here the rest is done at the next start. Any process that sees the
    # hold cuts what is in flight, possibly before this task continues; so copy the open intents first.
    opened = dict(recorder.open_intents)
    hold, behind = await anyio.to_thread.run_sync(_placed, authority.holds, wanted)
    if hold.id == wanted.id:
        cuts.setdefault(hold.id, 0)
    # 2. Find the actions it came too late for, before anything else runs in this process.
    in_flight = in_flight_under(recorder, authority, hold.what, opened)
    return InForce(hold=hold, is_new=hold.id == wanted.id, in_flight=in_flight, behind=behind)


def _placed(holds: HoldRegister, wanted: Hold) -> tuple[Hold, Unavailable | None]:
    """Return the hold in force, and why the registers do not have it, if so."""
    try:
        return holds.place(wanted), None
    except Unavailable as failed:
        if not is_in_force(failed):
            raise
        return next((one for one in holds.all() if one.stands_for(wanted)), wanted), failed


async def carry_out(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    hold: Hold,
    in_flight: Sequence[InFlight],
    *,
    workloads: Workloads | None = None,
) -> CarriedOut:
    """Carry out what follows from a hold in force. Idempotent: repeat it after a crash. Raises Unavailable."""
    with anyio.CancelScope(shield=True):
        # 3. Deny the waiting approvals within reach, for good: a lift does not restore them.
        approvals = await _denied(authority, hold)
        # 4. Record. 5. Cut what is open in this process. 6. End instances.
        cut, instances, recorded = await _settled(
            recorder, authority, live, cuts, hold, in_flight, workloads, approvals
        )
    return CarriedOut(approvals=approvals, cut=cut, instances=instances, recorded=recorded)


async def _denied(authority: AuthorityRegisters, hold: Hold) -> tuple[ApprovalId, ...]:
    try:
        return await anyio.to_thread.run_sync(deny_approvals, authority, hold)
    except Unavailable as failed:
        if authority.room is None or all(one.id != hold.id for one in authority.room.behind().holds):
            raise
        _log.warning(
            "approvals under hold %s are denied once that can be written: %s", hold.id, failed.message
        )
        return ()


async def _settled(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    hold: Hold,
    in_flight: Sequence[InFlight],
    workloads: Workloads | None,
    approvals: Sequence[ApprovalId],
) -> tuple[int, tuple[SpiffeId, ...], bool]:
    """Return what was cut, which instances ended, and whether everything is recorded.

    If the ledger accepts no entry, everything open is ended anyway.
    """
    unrecorded: Unavailable | None = None
    left: BaseException | None = None
    instances: tuple[SpiffeId, ...] = ()
    waits = not await anyio.to_thread.run_sync(authority.holds.is_recorded, hold.id)
    try:
        # A hold already recorded is not written again.
        if waits:
            left = await _record(recorder, hold, in_flight, approvals)
            if authority.room is not None and any(one.id == hold.id for one in authority.room.behind().holds):
                # The mark is in memory and is written with the hold's row; then the rest is done again.
                authority.holds.recorded([hold.id])
    except Unavailable as failed:
        unrecorded = failed
    # Other processes cut when they see the hold (`follow_holds`).
    cut = cut_held(recorder.open_intents, authority, live, cuts)
    await end_leases(authority.registry, live.leases, [hold.what], why="what it stands under is held")
    try:
        # With their SVIDs and sub-agents. After a crash before the next line, the hold may be recorded a second time.
        if workloads is not None:
            instances = await end_held_instances(workloads, hold)
        if waits and unrecorded is None:
            await anyio.to_thread.run_sync(authority.holds.recorded, [hold.id])
    except Unavailable as failed:
        unrecorded = failed
    if unrecorded is not None:
        _log.warning("hold %s is in force and not wholly recorded: %s", hold.id, unrecorded.message)
    if left is not None:
        raise left
    return cut, instances, unrecorded is None


async def hold_and_record(
    recorder: Recorder, authority: AuthorityRegisters, cuts: dict[HoldId, int], wanted: Hold
) -> None:
    """Put a hold into force and record it, without any of its consequences. Raises Unavailable."""
    with anyio.CancelScope(shield=True):
        found = await hold_everywhere(recorder, authority, cuts, wanted)
        if found.is_new:
            await _record(recorder, found.hold, found.in_flight, ())
            await anyio.to_thread.run_sync(authority.holds.recorded, [found.hold.id])


async def resume_holds(
    recorder: Recorder,
    authority: AuthorityRegisters,
    workloads: Workloads | None = None,
    *,
    overdue_only: bool = True,
) -> int:
    """Resume holds that are in force and not in the ledger: deny, record, end. Return how many. Raises Unavailable.

    For the start of a process, when no other process can be about to do it (`overdue_only=False`), and for a timer.
    """
    now = recorder.clock.now()
    waiting = await anyio.to_thread.run_sync(authority.holds.unrecorded)
    due = [one for one in waiting if not overdue_only or abs(now - one.at) >= GRACE_MILLIS]
    for one in due:
        in_flight, approvals = (
            in_flight_under(recorder, authority, one.what),
            denied_by(authority.approvals, one),
        )
        if one.is_in_force(now):
            # The process that placed it may have ended before anything was denied.
            approvals += await anyio.to_thread.run_sync(deny_approvals, authority, one)
            if workloads is not None:
                await end_held_instances(workloads, one)
        left = await _record(recorder, one, in_flight, approvals)
        # Last: until then the next start or round repeats all steps.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(authority.holds.recorded, [one.id])
        if left is not None:
            raise left
    return len(due)


async def _record(
    recorder: Recorder, hold: Hold, in_flight: Sequence[InFlight], approvals: Sequence[ApprovalId]
) -> BaseException | None:
    """Record the hold. Returns the cancellation if the caller left, to be raised again."""
    kind, name = hold.what
    about_person = kind == "owner"
    entry = records_holds.hold_placed(
        hold,
        at=recorder.clock.now(),
        sealing=sealing_for(recorder, principal_subject(name) if about_person else LOG_SUBJECT),
        by=pseudonym_of(recorder, hold.by),
        person=pseudonym_of(recorder, name) if about_person else "",
        in_flight=[one.index for one in in_flight],
        approvals=approvals,
    )
    _, left = await record_entry(recorder, entry)
    return left


def denied_by(approvals: ApprovalRegister, hold: Hold) -> tuple[ApprovalId, ...]:
    """Return the approvals that this hold has denied. Raises Unavailable."""
    known = approvals.all(pending_only=False, now=hold.at)
    return tuple(one.id for one in known if one.ended_by == hold.id)


def open_mandates(authority: AuthorityRegisters, hold: Hold) -> tuple[MandateId, ...]:
    """Return the open mandates within reach of a hold."""
    now, current = authority.clock.now(), authority.registry.current
    return tuple(
        one.id
        for one in authority.mandates.all()
        if now < one.expires_at
        and authority.mandates.state(one.id) == "open"
        and hold.what in reach_of(mandate_names(authority, one), current)
    )


async def end_held_instances(workloads: Workloads, hold: Hold) -> tuple[SpiffeId, ...]:
    """End the instances within reach of a hold, and their sub-agents. Raises Unavailable."""
    current = workloads.authority.registry.current
    hit = [
        one.id
        for one in workloads.instances.live()
        if hold.what in reach_of(names_of_instance(workloads.authority, one), current)
    ]
    ended: list[SpiffeId] = []
    for start in range(0, len(hit), ENDED_AT_A_TIME):
        some = await end_instances(workloads, hit[start : start + ENDED_AT_A_TIME], because=BECAUSE)
        ended += (one.id for one in some)
    return tuple(ended)
