"""Duties to tell others of an incident, each with what it applies to and its usual time.

Law: an incident has the duties that were configured when it was opened; its entry says them, so that nobody changes a
deadline afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.incident.incident_statement import IncidentClass


class Duty(NamedTuple):
    """A duty to tell. of: the class of incidents that it applies to. hours: from detection, usually."""

    name: str
    of: IncidentClass
    hours: int
    says: str


DUTIES: Final = (
    Duty(
        "ai-act-73", "serious", 360, "EU AI Act, article 73: market surveillance authority, serious incident"
    ),
    Duty("ai-act-73-widespread", "widespread", 48, "EU AI Act, article 73: widespread infringement"),
    Duty("ai-act-73-death", "death", 240, "EU AI Act, article 73: death of a person"),
    Duty("gdpr-33", "personal-data", 72, "GDPR, article 33: supervisory authority, personal data breach"),
)
BY_NAME: Final = {one.name: one for one in DUTIES}


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRules:
    """Who may write about incidents, and what is to be told of them. group: empty for every registered person who can
    sign. hours: by duty; one that is not named does not apply here."""

    group: str = ""
    hours: Mapping[str, int] = field(
        default_factory=lambda: MappingProxyType({one.name: one.hours for one in DUTIES})
    )
