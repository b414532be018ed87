"""Incidents: record what people signed about them, and tell them by the index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api.incident_answers import (
    IncidentAnswer,
    IncidentRecorded,
    IncidentsAnswer,
    IncidentStatement,
)
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.flows.containment.record_incident import record_incident
from answerable.ports.search_process import INCIDENT, INCIDENTS, IncidentQuestion, IncidentsQuestion

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.incident.incident_statement import IncidentChange


@operation(
    "POST",
    "/v1/incidents",
    id="open_incident",
    summary="A person's signed statement that opens an incident; nothing is stopped by it",
    answer=IncidentRecorded,
    body=IncidentStatement,
)
async def open_incident(call: Call) -> IncidentRecorded:
    """Open an incident."""
    return await _recorded(call, "opened")


@operation(
    "GET",
    "/v1/incidents",
    id="list_incidents",
    summary="Incidents, newest first",
    answer=IncidentsAnswer,
    of_index=True,
)
async def list_incidents(call: Call) -> IncidentsAnswer:
    """List the incidents."""
    return await call.product.searches.ask(INCIDENTS, IncidentsQuestion())


@operation(
    "GET",
    "/v1/incidents/{id}",
    id="show_incident",
    summary="One incident: its clock, its duties, what was affected, what is not known, and what people noted",
    answer=IncidentAnswer,
    of_index=True,
)
async def show_incident(call: Call) -> IncidentAnswer:
    """Tell one incident, as the ledger has it now."""
    return await call.product.searches.ask(INCIDENT, IncidentQuestion(name=call.path["id"]))


@operation(
    "POST",
    "/v1/incidents/{id}/notes",
    id="note_incident",
    summary="A person's signed note to an incident",
    answer=IncidentRecorded,
    body=IncidentStatement,
)
async def note_incident(call: Call) -> IncidentRecorded:
    """Record a note; one may follow after the incident is closed, too."""
    return await _recorded(call, "noted", call.path["id"])


@operation(
    "POST",
    "/v1/incidents/{id}/close",
    id="close_incident",
    summary="A person's signed statement that closes an incident; what follows is not looked at any more",
    answer=IncidentRecorded,
    body=IncidentStatement,
)
async def close_incident(call: Call) -> IncidentRecorded:
    """Close an incident; the first of several counts."""
    return await _recorded(call, "closed", call.path["id"])


async def _recorded(call: Call, change: IncidentChange, incident: str = "") -> IncidentRecorded:
    done = await record_incident(
        call.walk.recorder,
        call.walk.authority,
        call.walk.asking.under_way,
        call.walk.incidents,
        call.members("token").text("token"),
        change=change,
        incident=incident,
    )
    return IncidentRecorded(incident=done.incident, change=done.change, entry=done.entry, at=instant(done.at))


OPERATIONS: Final[tuple[Operation, ...]] = (
    open_incident,
    list_incidents,
    show_incident,
    note_incident,
    close_incident,
)
