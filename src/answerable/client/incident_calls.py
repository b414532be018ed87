"""Operations of the control API on the subject `incident`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.incident_answers import (
    IncidentAnswer,
    IncidentRecorded,
    IncidentsAnswer,
    IncidentStatement,
)
from answerable.client.transport import INDEX_SECONDS_MAX, WAIT_SECONDS_MAX, Transport, segment


def open_incident(
    control: Transport, body: IncidentStatement, *, seconds_max: float = WAIT_SECONDS_MAX
) -> IncidentRecorded:
    """A person's signed statement that opens an incident; nothing is stopped by it."""
    return control.answer_as(IncidentRecorded, "POST", "/v1/incidents", body=body, seconds_max=seconds_max)


def list_incidents(control: Transport, *, seconds_max: float = INDEX_SECONDS_MAX) -> IncidentsAnswer:
    """Incidents, newest first."""
    return control.answer_as(IncidentsAnswer, "GET", "/v1/incidents", seconds_max=seconds_max)


def show_incident(control: Transport, id: str, *, seconds_max: float = INDEX_SECONDS_MAX) -> IncidentAnswer:
    """One incident: its clock, its duties, what was affected, what is not known, and what people noted."""
    return control.answer_as(IncidentAnswer, "GET", f"/v1/incidents/{segment(id)}", seconds_max=seconds_max)


def note_incident(
    control: Transport, id: str, body: IncidentStatement, *, seconds_max: float = WAIT_SECONDS_MAX
) -> IncidentRecorded:
    """A person's signed note to an incident."""
    return control.answer_as(
        IncidentRecorded, "POST", f"/v1/incidents/{segment(id)}/notes", body=body, seconds_max=seconds_max
    )


def close_incident(
    control: Transport, id: str, body: IncidentStatement, *, seconds_max: float = WAIT_SECONDS_MAX
) -> IncidentRecorded:
    """A person's signed statement that closes an incident; what follows is not looked at any more."""
    return control.answer_as(
        IncidentRecorded, "POST", f"/v1/incidents/{segment(id)}/close", body=body, seconds_max=seconds_max
    )
