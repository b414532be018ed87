"""Settings of incidents: who may write about them, and within what time others must be told."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from answerable.core.incident.incident_duties import BY_NAME, IncidentRules
from answerable.setting_fields import number, text

HOURS_MAX = 8_760


def _hours(duty: str, says: str) -> int:
    told = f"{says}, from detection on; 0 where that does not apply"
    return number(BY_NAME[duty].hours, told, unit="hours", minimum=0, maximum=HOURS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSettings:
    """Incidents. A duty is recorded with the incident when it is opened, as it is configured then."""

    group: str = text(
        "",
        "group of people who may open incidents, note on them and close them; empty for every registered person with "
        "a key",
    )
    serious_hours: int = _hours("ai-act-73", "EU AI Act, article 73: time to report a serious incident")
    widespread_hours: int = _hours(
        "ai-act-73-widespread", "EU AI Act, article 73: time to report a widespread infringement"
    )
    death_hours: int = _hours("ai-act-73-death", "EU AI Act, article 73: time to report a death")
    personal_data_hours: int = _hours("gdpr-33", "GDPR, article 33: time to notify a personal data breach")


def incident_rules(settings: IncidentSettings) -> IncidentRules:
    """Return what the settings say, for flows."""
    hours = {
        "ai-act-73": settings.serious_hours,
        "ai-act-73-widespread": settings.widespread_hours,
        "ai-act-73-death": settings.death_hours,
        "gdpr-33": settings.personal_data_hours,
    }
    return IncidentRules(
        group=settings.group, hours=MappingProxyType({name: one for name, one in hours.items() if one})
    )
