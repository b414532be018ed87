"""Holds: place, list and lift them, and report what a hold stopped and could not stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import (
    COUNT,
    DIGEST,
    FLAG,
    INSTANT,
    TEXT,
    TEXTS,
    choice,
    nullable,
    record,
    reference,
    sequence,
)
from answerable.core.containment.hold import (
    HOLD_KINDS,
    HOLD_SOURCES,
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
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import Hold
    from answerable.core.ledger.containment import ContainmentReport, Flight
    from answerable.core.ledger.effects import Done
    from answerable.flows.trust_domain.workloads import Workloads

FIRST_REPORT_SECONDS_MAX: Final = 0.2
"""Longest wait of a stop's answer for its report. Past it the answer comes without the report, which can be fetched
separately."""
_REPORTING: Final[set[asyncio.Future[ContainmentReport]]] = set()

STATES: Final = ("in_force", "lifted", "expired")
SECONDS_MAX: Final = 10 * 366 * 86_400
"""Longest lifetime of a hold in seconds; a hold without an end lasts longer."""


async def stop(call: Call) -> Answer:
    """Place a hold on what has this name, of the given kind or of the only kind that has such a name."""
    body = call.members("kind", "name", "reason", "seconds")
    kind = body.text("kind", chars_max=16) if body.has("kind") else ""
    name = body.text("name", chars_max=NAME_CHARS_MAX) if body.has("name") else ""
    what = resolve_hold_target(call.walk, name, kind)
    reason = body.text("reason", chars_max=REASON_CHARS_MAX) if body.has("reason") else ""
    seconds = _seconds(call)
    placed = await place_hold(
        call.walk,
        what,
        by=call.by,
        reason=reason,
        expires_at=call.walk.clock.now() + seconds * 1000 if seconds else 0,
        workloads=_workloads(call),
    )
    return {
        "hold": _hold(call, placed.hold),
        "new": placed.is_new,
        "recorded": placed.recorded,
        "report": await _first_report(call, placed.hold),
    }


async def _first_report(call: Call, hold: Hold) -> Answer | None:
    """Return the hold's report if it is ready soon, else None. The stop is already in force: its answer must not wait
    for a slow party."""
    reporting = asyncio.ensure_future(report_containment(call.walk, hold, workloads=_workloads(call)))
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


async def list_holds(call: Call) -> Answer:
    """List holds, newest first; with `state`, those in this state now."""
    state = call.query.get("state")
    if state is not None and state not in STATES:
        raise REQUEST_QUERY(f"state {shown(state)} is not known: use one of {', '.join(STATES)}")
    found = (one for one in call.walk.holds.all() if state in (None, _state(call, one)))
    return page_of(call, found, name=lambda one: one.id, render=lambda one: _hold(call, one))


async def show_hold(call: Call) -> Answer:
    """Return one hold."""
    return _hold(call, hold_called(call.walk, HoldId(call.path["id"])))


async def lift(call: Call) -> Answer:
    """Lift a hold on a person's signed statement."""
    token = call.members("token").text("token")
    return _hold(call, await lift_hold(call.walk, call.path["id"], token))


async def show_report(call: Call) -> Answer:
    """Return what a hold stopped and could not stop, as known now."""
    hold = hold_called(call.walk, HoldId(call.path["id"]))
    return _report(await report_containment(call.walk, hold, workloads=_workloads(call)))


def _workloads(call: Call) -> Workloads | None:
    found: Workloads | None = getattr(call.product, "workloads", None)
    return found


def _seconds(call: Call) -> int:
    value = call.body.get("seconds", 0) if isinstance(call.body, dict) else 0
    if type(value) is not int or not 0 <= value <= SECONDS_MAX:
        raise REQUEST_BODY(f"/seconds: a whole number of 0 to {SECONDS_MAX}, 0 for no end")
    return value


def _state(call: Call, hold: Hold) -> str:
    if hold.is_in_force(call.walk.clock.now()):
        return "in_force"
    return "lifted" if hold.lifted_at else "expired"


def _hold(call: Call, hold: Hold) -> Answer:
    return {
        "id": hold.id,
        "state": _state(call, hold),
        "kind": hold.what.kind,
        "name": hold.what.name,
        "at": instant(hold.at),
        "by": hold.by,
        "reason": hold.reason,
        "expires_at": _instant(hold.expires_at),
        "source": hold.source,
        "rule": hold.rule,
        "digest": hold.digest,
        "persons_to_lift": hold.persons_to_lift,
        "agreed": [
            {"by": one.by, "reason": one.reason, "at": instant(one.at), "key": one.key} for one in hold.agreed
        ],
        "lifted_at": _instant(hold.lifted_at),
        "audience": call.walk.ledger.origin,
    }


def _report(report: ContainmentReport) -> Answer:
    cut = report.cut
    return {
        "hold": report.hold.id,
        "complete": report.is_complete,
        "due": _instant(report.due_at),
        "log": report.log,
        "entry": _index(report.entry),
        "recorded": _index(report.recorded),
        "stopped": {
            "approvals": list(report.approvals),
            "instances": list(report.instances),
            "instances_count": report.instances_count,
            "mandates": list(report.mandates),
            "mandates_count": report.mandates_count,
            "leases": list(report.leases),
            **({} if cut is None else {"cut": cut}),
        },
        "last_effect": _done(report.last) if report.last is not None else None,
        "in_flight": [_flight(one) for one in report.in_flight],
        "in_flight_count": report.in_flight_count,
        "running": report.running,
        "started_after": [_flight(one) for one in report.after],
        "started_after_count": report.after_count,
        "done": [_done(one) for one in report.done],
        "done_count": {one: report.counted.get(one, 0) for one in UNDOING},
        "live": [
            {"kind": one.kind, "name": one.name, "until": _instant(one.until), "why": one.why}
            for one in report.live
        ],
        "live_count": report.live_count,
        "live_all": report.is_live_all,
        "not_asked": [{"log": one.log, "why": one.why} for one in report.not_asked],
        "looked_from": report.looked_from,
        "entries": report.entries,
    }


def _flight(one: Flight) -> dict[str, JSONValue]:
    return {
        **_action(one),
        "since": instant(one.since),
        "due": instant(one.due_at),
        "status": one.status or "running",
        "ended_at": _instant(one.ended_at),
        "outcome": _index(one.entry),
    }


def _done(one: Done) -> dict[str, JSONValue]:
    return {**_action(one), "at": instant(one.at), "status": one.status, "undoing": one.undoing}


def _action(one: Flight | Done) -> dict[str, JSONValue]:
    return {
        "log": one.log,
        "entry": one.index,
        "action": one.action,
        "agent": one.agent,
        "capability": one.capability,
    }


def _instant(milliseconds: int) -> str | None:
    return instant(milliseconds) if milliseconds else None


def _index(entry: int) -> int | None:
    return entry if entry >= 0 else None


UNDOING: Final = ("not_reversible", "reversible", "read")
_MAYBE: Final = nullable(INSTANT)
_ENTRY: Final = nullable(COUNT)
_ACTION: Final[dict[str, Schema]] = {
    "log": TEXT,
    "entry": COUNT,
    "action": TEXT,
    "agent": TEXT,
    "capability": TEXT,
}
_FLIGHT: Final = record(
    {
        **_ACTION,
        "since": INSTANT,
        "due": INSTANT,
        "status": choice("running", "succeeded", "failed", "not_started", "indeterminate"),
        "ended_at": _MAYBE,
        "outcome": _ENTRY,
    }
)
_DONE: Final = record(
    {**_ACTION, "at": INSTANT, "status": choice("succeeded", "indeterminate"), "undoing": choice(*UNDOING)}
)

COMPONENTS: Final[dict[str, Schema]] = {
    "StopRequest": record(
        {
            "kind": choice(*HOLD_KINDS),
            "name": TEXT,
            "reason": TEXT,
            "seconds": {**COUNT, "maximum": SECONDS_MAX},
        },
        optional=("kind", "name", "reason", "seconds"),
    ),
    "Hold": record(
        {
            "id": TEXT,
            "state": choice(*STATES),
            "kind": choice(*HOLD_KINDS),
            "name": TEXT,
            "at": INSTANT,
            "by": TEXT,
            "reason": TEXT,
            "expires_at": _MAYBE,
            "source": choice(*HOLD_SOURCES),
            "rule": TEXT,
            "digest": DIGEST,
            "persons_to_lift": COUNT,
            "agreed": sequence(record({"by": TEXT, "reason": TEXT, "at": INSTANT, "key": TEXT})),
            "lifted_at": _MAYBE,
            "audience": TEXT,
        }
    ),
    "Lift": record({"token": TEXT}),
    "Stop": record(
        {
            "hold": reference("Hold"),
            "new": FLAG,
            "recorded": FLAG,
            "report": nullable(reference("ContainmentReport")),
        }
    ),
    "ContainmentReport": record(
        {
            "hold": TEXT,
            "complete": FLAG,
            "due": _MAYBE,
            "log": TEXT,
            "entry": _ENTRY,
            "recorded": _ENTRY,
            "stopped": record(
                {
                    "approvals": TEXTS,
                    "instances": TEXTS,
                    "instances_count": COUNT,
                    "mandates": TEXTS,
                    "mandates_count": COUNT,
                    "leases": TEXTS,
                    "cut": COUNT,
                },
                optional=("cut",),
            ),
            "last_effect": nullable(_DONE),
            "in_flight": sequence(_FLIGHT),
            "in_flight_count": COUNT,
            "running": COUNT,
            "started_after": sequence(_FLIGHT),
            "started_after_count": COUNT,
            "done": sequence(_DONE),
            "done_count": record(dict.fromkeys(UNDOING, COUNT)),
            "live": sequence(
                record(
                    {"kind": choice("action", "svid", "token"), "name": TEXT, "until": _MAYBE, "why": TEXT}
                )
            ),
            "live_count": COUNT,
            "live_all": FLAG,
            "not_asked": sequence(record({"log": TEXT, "why": TEXT})),
            "looked_from": COUNT,
            "entries": COUNT,
        }
    ),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="stop",
        method="POST",
        path="/v1/holds",
        summary="Hold what is called so: nothing is started within its reach until it is lifted or has run out",
        body="StopRequest",
        answer="Stop",
        run=stop,
    ),
    Operation(
        id="list_holds",
        method="GET",
        path="/v1/holds",
        summary="Holds, newest first",
        answer="Hold",
        page=True,
        query=(("state", choice(*STATES), "only holds that stand so now"),),
        run=list_holds,
    ),
    Operation(
        id="show_hold",
        method="GET",
        path="/v1/holds/{id}",
        summary="One hold, with what a person signs to lift it",
        answer="Hold",
        run=show_hold,
    ),
    Operation(
        id="lift_hold",
        method="POST",
        path="/v1/holds/{id}/lift",
        summary="A person's signed lift of a hold",
        body="Lift",
        answer="Hold",
        run=lift,
    ),
    Operation(
        id="show_containment",
        method="GET",
        path="/v1/holds/{id}/report",
        summary="What a hold stopped, what it came too late for, and what it could not stop",
        answer="ContainmentReport",
        run=show_report,
    ),
)
