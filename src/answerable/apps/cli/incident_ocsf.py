"""Incidents as OCSF events (Open Cybersecurity Schema Framework, 1.9.0-dev): an Incident Finding for each statement,
and an API or Datastore Activity for each action. What a class has no attribute for is in `unmapped`; where the entry
is, in `metadata`: a record of its integrity would need its hash, which the evidence bundle has."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from answerable import __version__

if TYPE_CHECKING:
    from answerable.api.incident_answers import IncidentAction, IncidentAnswer, IncidentNote
    from answerable.api.search_answers import SearchHit

VERSION: Final = "1.9.0-dev"
INCIDENT_FINDING: Final = 2005
API_ACTIVITY: Final = 6003
DATASTORE_ACTIVITY: Final = 6005
OTHER: Final = 99
UNKNOWN: Final = "unknown"
SEALED: Final = "no data: erased, or sealed"
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
        "modified_time": _millis(note.at),
        "title": f"incident about {incident.about} {incident.name}".strip(),
        "uid": incident.id,
        **({"types": [*incident.classes]} if incident.classes else {}),
    }
    said = {"comment": note.text or SEALED, "created_time": _millis(note.at), "owner": {"name": note.by}}
    # The schema wants the time at which the incident was opened, whatever is told of it.
    head = _event(INCIDENT_FINDING, 2, activity, incident.opened_at, log=answer.log, entry=note.entry)
    head["metadata"]["profiles"] = ["incident"]
    return head | {
        "activity_name": name,
        "assignee": {"name": incident.opened_by},
        "finding_info_list": [found],
        "notes": [said],
        "severity_id": 4 if {"serious", "widespread", "death"} & {*incident.classes} else 0,
        "status_id": status,
        "unmapped": {"by": note.by, "classes": [*note.classes], "told": note.told},
    }


def _activity(log: str, one: IncidentAction) -> dict[str, Any]:
    action = one.action
    is_database = any(name.startswith(_DATABASES) for name in action.session)
    of = _DATASTORE if is_database else _API
    refused = action.kind == "refusal"
    activity = of.read if one.undoing == "read" else OTHER
    failed = refused or action.outcome in FAILED
    agent = {"name": action.agent or UNKNOWN, "type_id": 0, "uid": action.agent or UNKNOWN}
    if action.instance:
        agent["instance_uid"] = action.instance
    at = _log_of(log, action.shard)
    return (
        _event(of.uid, of.category, activity, action.at, log=at, entry=action.entry)
        | {
            "action_id": 2 if refused else 1,
            "activity_name": "Read" if one.undoing == "read" else action.capability or UNKNOWN,
            "actor": {
                "app_name": action.agent or UNKNOWN,
                **({"user": {"name": action.person}} if action.person else {}),
            },
            "ai_agent": agent,
            "disposition_id": 2 if refused else 1,
            "severity_id": 0,
            "src_endpoint": {"name": action.instance or action.agent or UNKNOWN},
            "status_id": 2 if failed else 1 if action.outcome == "succeeded" else 0,
            "unmapped": {
                "action": action.action,
                "approval": action.approval,
                "capability": action.capability,
                "lease": action.lease,
                "mandate": action.mandate,
                "outcome": action.outcome,
                "resource": action.resource,
                "server": action.server,
                "undoing": one.undoing,
            },
        }
        | ({"policy": {"uid": ", ".join(action.rules)}} if action.rules else {})
        | (_of_database(action) if is_database else _of_api(action))
    )


def _of_api(action: SearchHit) -> dict[str, Any]:
    service = {"service": {"name": action.server}} if action.server else {}
    return {
        "api": {"operation": action.capability or UNKNOWN, **service},
        **({"resources": [{"uid": action.resource}]} if action.resource else {}),
    }


def _of_database(action: SearchHit) -> dict[str, Any]:
    return {
        "database": {
            "name": action.resource or action.server or UNKNOWN,
            "type_id": OTHER,
            "type": action.server or UNKNOWN,
        }
    }


def _log_of(log: str, shard: str) -> str:
    """Return the origin of the log of a shard. log: of any shard of the same ledger."""
    return f"{log.rpartition('/')[0]}/{shard}" if shard else log


def _event(uid: int, category: int, activity: int, at: str, *, log: str, entry: int) -> dict[str, Any]:
    return {
        "activity_id": activity,
        "category_uid": category,
        "class_uid": uid,
        "metadata": {
            "log_name": log,
            "product": {"name": "Answerable", "vendor_name": "Answerable", "version": __version__},
            "profiles": ["security_control", "ai_operation"],
            "uid": str(entry),
            "version": VERSION,
        },
        "time": _millis(at),
        "type_uid": uid * 100 + activity,
    }


def _millis(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)
