"""Incidents as OCSF events (Open Cybersecurity Schema Framework, 1.9.0-dev): an Incident Finding for each statement,
and an API or Datastore Activity for each action."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from answerable import __version__

if TYPE_CHECKING:
    from answerable.api.incident_answers import IncidentAction, IncidentAnswer, IncidentNote

VERSION: Final = "1.9.0-dev"
INCIDENT_FINDING: Final = 2005
API_ACTIVITY: Final = 6003
DATASTORE_ACTIVITY: Final = 6005
OTHER: Final = 99
FAILED: Final = ("failed", "not_started")
_CHANGES: Final = {"opened": (1, "Create", 1), "noted": (2, "Update", 2), "closed": (3, "Close", 5)}
"""Activity, its name, and the status of the incident: new, in progress, closed."""
_DATABASES: Final = ("pg_", "mariadb_", "redis_")
"""How the target's names of a session begin where the target is a database."""


class _Class(NamedTuple):
    uid: int
    category: int
    read: int


_API: Final = _Class(API_ACTIVITY, 6, 2)
_DATASTORE: Final = _Class(DATASTORE_ACTIVITY, 6, 1)


def ocsf_events(answer: IncidentAnswer) -> list[dict[str, Any]]:
    """Return the events of an incident, in the order of the ledger."""
    events = [(one.entry, _finding(answer, one)) for one in answer.notes]
    events += [(one.action.entry, _activity(answer.log, one)) for one in answer.actions]
    return [event for _, event in sorted(events, key=lambda one: one[0])]


def _finding(answer: IncidentAnswer, note: IncidentNote) -> dict[str, Any]:
    activity, name, status = _CHANGES[note.change]
    incident = answer.incident
    found = {
        "created_time": _millis(incident.opened_at),
        "title": f"incident about {incident.about} {incident.name}".strip(),
        "types": [*incident.classes],
        "uid": incident.id,
    }
    return _event(INCIDENT_FINDING, 2, activity, note.at, log=answer.log, entry=note.entry) | {
        "activity_name": name,
        "comment": note.text or "",
        "finding_info_list": [found],
        "severity_id": 4 if {"serious", "widespread", "death"} & {*incident.classes} else 0,
        "status_id": status,
        "unmapped": {"by": note.by, "classes": [*note.classes], "told": note.told},
    }


def _activity(log: str, one: IncidentAction) -> dict[str, Any]:
    action = one.action
    of = _DATASTORE if any(name.startswith(_DATABASES) for name in action.session) else _API
    refused = action.kind == "refusal"
    activity = of.read if one.undoing == "read" else OTHER
    failed = refused or action.outcome in FAILED
    return _event(of.uid, of.category, activity, action.at, log=log, entry=action.entry) | {
        "action_id": 2 if refused else 1,
        "activity_name": "Read" if one.undoing == "read" else action.capability or "unknown",
        "actor": {"user": {"name": action.person}, "invoked_by": action.agent},
        "ai_agent": {
            "instance_uid": action.instance,
            "name": action.agent,
            "type_id": OTHER,
            "uid": action.agent,
        },
        "api": {"operation": action.capability, "service": {"name": action.server}},
        "disposition_id": 2 if refused else 1,
        "policy": {"uid": ", ".join(action.rules)},
        "resources": [{"uid": action.resource}] if action.resource else [],
        "severity_id": 0,
        "src_endpoint": {"name": action.instance or action.agent},
        "status_id": 2 if failed else 1 if action.outcome == "succeeded" else 0,
        "unmapped": {
            "action": action.action,
            "approval": action.approval,
            "lease": action.lease,
            "mandate": action.mandate,
            "outcome": action.outcome,
            "undoing": one.undoing,
        },
    }


def _event(uid: int, category: int, activity: int, at: str, *, log: str, entry: int) -> dict[str, Any]:
    return {
        "activity_id": activity,
        "attestation_list": [{"authority_uid": log, "chain_uid": log, "uid": str(entry)}],
        "category_uid": category,
        "class_uid": uid,
        "metadata": {
            "log_name": log,
            "product": {"name": "Answerable", "vendor_name": "Answerable", "version": __version__},
            "profiles": ["security_control", "ai_operation", "record_integrity"],
            "uid": str(entry),
            "version": VERSION,
        },
        "time": _millis(at),
        "type_uid": uid * 100 + activity,
    }


def _millis(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)
