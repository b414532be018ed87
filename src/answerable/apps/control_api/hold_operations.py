"""Holds: place, list and lift them, and report what a hold stopped and could not stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from answerable.api import hold_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import choice
from answerable.core.containment.hold import (
    REASON_CHARS_MAX,
    HoldId,
)
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_BODY, REQUEST_QUERY
from answerable.flows.containment.lift_hold import lift_hold
from answerable.flows.drills.report_containment import hold_called, report_containment
from answerable.flows.registry.resolve_hold_target import NAME_CHARS_MAX, resolve_hold_target
from answerable.flows.revocation.place_hold import place_hold

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.containment.hold import Hold
    from answerable.core.ledger.containment import ContainmentReport, Flight, OnRecord
    from answerable.core.ledger.effects import Done
    from answerable.flows.trust_domain.workloads import Workloads

FIRST_REPORT_SECONDS_MAX: Final = 0.2
"""Longest wait of a stop's answer for its report. Past it the answer comes without the report, which can be fetched
separately."""
_REPORTING: Final[set[asyncio.Future[ContainmentReport]]] = set()

STATES: Final = ("in_force", "lifted", "expired")


@operation(
    "POST",
    "/v1/holds",
    id="stop",
    summary="Hold what is called so: nothing is started within its reach until it is lifted or has run out",
    answer=answers.Stop,
    body=answers.StopRequest,
)
async def stop(call: Call) -> answers.Stop:
    """Place a hold on what has this name, of the given kind or of the only kind that has such a name."""
    body = call.members("kind", "name", "reason", "seconds")
    kind = body.text("kind", chars_max=16) if body.has("kind") else ""
    name = body.text("name", chars_max=NAME_CHARS_MAX) if body.has("name") else ""
    what = resolve_hold_target(call.walk.authority, name, kind)
    reason = body.text("reason", chars_max=REASON_CHARS_MAX) if body.has("reason") else ""
    seconds = _seconds(call)
    placed = await place_hold(
        call.walk.recorder,
        call.walk.authority,
        call.walk.live,
        call.walk.counters.cuts,
        what,
        by=call.by,
        reason=reason,
        expires_at=call.walk.clock.now() + seconds * 1000 if seconds else 0,
        workloads=_workloads(call),
    )
    return answers.Stop(
        hold=_hold(call, placed.hold),
        new=placed.is_new,
        recorded=placed.recorded,
        report=await _first_report(call, placed.hold),
    )


async def _first_report(call: Call, hold: Hold) -> answers.ContainmentReport | None:
    """Return the hold's report if it is ready soon, else None. The stop is already in force: its answer must not wait
    for a slow party."""
    reporting = asyncio.ensure_future(
        report_containment(
            call.walk.recorder,
            call.walk.authority,
            call.walk.live,
            call.walk.counters.cuts,
            call.walk.limits,
            hold,
            workloads=_workloads(call),
        )
    )
    _REPORTING.add(reporting)
    reporting.add_done_callback(_reported)
    done, _ = await asyncio.wait({reporting}, timeout=FIRST_REPORT_SECONDS_MAX)
    return _report(reporting.result()) if done else None


def _reported(reporting: asyncio.Future[ContainmentReport]) -> None:
    _REPORTING.discard(reporting)
    # Retrieve the exception to silence asyncio's warning; the next request for the report meets and reports the fault
    # itself.
    if not reporting.cancelled():
        reporting.exception()


@operation(
    "GET",
    "/v1/holds",
    id="list_holds",
    summary="Holds, newest first",
    answer=Page[answers.Hold],
    query=(("state", choice(*STATES), "only holds that stand so now"),),
)
async def list_holds(call: Call) -> Page[answers.Hold]:
    """List holds, newest first; with `state`, those in this state now."""
    state = call.query.get("state")
    if state is not None and state not in STATES:
        raise REQUEST_QUERY(f"state {shown(state)} is not known: use one of {', '.join(STATES)}")
    found = (one for one in call.walk.authority.holds.all() if state in (None, _state(call, one)))
    return page_of(call, found, name=lambda one: one.id, render=lambda one: _hold(call, one))


@operation(
    "GET",
    "/v1/holds/{id}",
    id="show_hold",
    summary="One hold, with what a person signs to lift it",
    answer=answers.Hold,
)
async def show_hold(call: Call) -> answers.Hold:
    """Return one hold."""
    return _hold(call, hold_called(call.walk.authority.holds, HoldId(call.path["id"])))


@operation(
    "POST",
    "/v1/holds/{id}/lift",
    id="lift_hold",
    summary="A person's signed lift of a hold",
    answer=answers.Hold,
    body=answers.Lift,
)
async def lift(call: Call) -> answers.Hold:
    """Lift a hold on a person's signed statement."""
    token = call.members("token").text("token")
    return _hold(
        call,
        await lift_hold(
            call.walk.recorder,
            call.walk.authority,
            call.walk.asking.under_way,
            call.walk.counters,
            call.path["id"],
            token,
        ),
    )


@operation(
    "GET",
    "/v1/holds/{id}/report",
    id="show_containment",
    summary="What a hold stopped, what it came too late for, and what it could not stop",
    answer=answers.ContainmentReport,
)
async def show_report(call: Call) -> answers.ContainmentReport:
    """Return what a hold stopped and could not stop, as known now."""
    hold = hold_called(call.walk.authority.holds, HoldId(call.path["id"]))
    return _report(
        await report_containment(
            call.walk.recorder,
            call.walk.authority,
            call.walk.live,
            call.walk.counters.cuts,
            call.walk.limits,
            hold,
            workloads=_workloads(call),
        )
    )


def _workloads(call: Call) -> Workloads | None:
    found: Workloads | None = getattr(call.product, "workloads", None)
    return found


def _seconds(call: Call) -> int:
    value = call.body.get("seconds", 0) if isinstance(call.body, dict) else 0
    if type(value) is not int or not 0 <= value <= answers.SECONDS_MAX:
        raise REQUEST_BODY(f"/seconds: a whole number of 0 to {answers.SECONDS_MAX}, 0 for no end")
    return value


def _state(call: Call, hold: Hold) -> str:
    if hold.is_in_force(call.walk.clock.now()):
        return "in_force"
    return "lifted" if hold.lifted_at else "expired"


def _hold(call: Call, hold: Hold) -> answers.Hold:
    return answers.Hold(
        id=hold.id,
        state=_state(call, hold),
        kind=hold.what.kind,
        name=hold.what.name,
        at=instant(hold.at),
        by=hold.by,
        reason=hold.reason,
        expires_at=_instant(hold.expires_at),
        source=hold.source,
        rule=hold.rule,
        digest=hold.digest,
        persons_to_lift=hold.persons_to_lift,
        agreed=tuple(
            answers.LiftSignature(by=one.by, reason=one.reason, at=instant(one.at), key=one.key)
            for one in hold.agreed
        ),
        lifted_at=_instant(hold.lifted_at),
        audience=call.walk.recorder.ledger.origin,
    )


def _report(report: ContainmentReport) -> answers.ContainmentReport:
    return answers.ContainmentReport(
        hold=report.hold.id,
        complete=report.is_complete,
        due=_instant(report.due_at),
        log=report.log,
        entry=_index(report.entry),
        recorded=_index(report.recorded),
        stopped=answers.EndedByHold(
            approvals=tuple(report.approvals),
            instances=tuple(report.instances),
            instances_count=report.instances_count,
            mandates=tuple(report.mandates),
            mandates_count=report.mandates_count,
            leases=tuple(report.leases),
            cut=UNSET if report.cut is None else report.cut,
        ),
        last_effect=_done(report.last) if report.last is not None else None,
        in_flight=tuple(_flight(one) for one in report.in_flight),
        in_flight_count=report.in_flight_count,
        running=report.running,
        started_after=tuple(_flight(one) for one in report.after),
        started_after_count=report.after_count,
        done=tuple(_done(one) for one in report.done),
        done_count=answers.DoneCount(
            not_reversible=report.counted.get("not_reversible", 0),
            reversible=report.counted.get("reversible", 0),
            read=report.counted.get("read", 0),
        ),
        live=tuple(
            answers.LiveAuthority(kind=one.kind, name=one.name, until=_instant(one.until), why=one.why)
            for one in report.live
        ),
        live_count=report.live_count,
        live_all=report.is_live_all,
        not_asked=tuple(answers.NotAsked(log=one.log, why=one.why) for one in report.not_asked),
        elsewhere=_on_record(report.elsewhere),
        looked_from=report.looked_from,
        entries=report.entries,
    )


def _on_record(place: OnRecord | None) -> answers.OnRecord | None:
    if place is None:
        return None
    return answers.OnRecord(log=place.log, entry=place.entry, recorded=_index(place.report))


def _flight(one: Flight) -> answers.Flight:
    return answers.Flight(
        log=one.log,
        entry=one.index,
        action=one.action,
        agent=one.agent,
        capability=one.capability,
        since=instant(one.since),
        due=instant(one.due_at),
        status=one.status or "running",
        ended_at=_instant(one.ended_at),
        outcome=_index(one.entry),
    )


def _done(one: Done) -> answers.DoneAction:
    return answers.DoneAction(
        log=one.log,
        entry=one.index,
        action=one.action,
        agent=one.agent,
        capability=one.capability,
        at=instant(one.at),
        status=one.status,
        undoing=one.undoing,
    )


def _instant(milliseconds: int) -> str | None:
    return instant(milliseconds) if milliseconds else None


def _index(entry: int) -> int | None:
    return entry if entry >= 0 else None


OPERATIONS: Final[tuple[Operation, ...]] = (
    stop,
    list_holds,
    show_hold,
    lift,
    show_report,
)
