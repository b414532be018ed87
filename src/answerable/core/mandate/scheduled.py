"""Derive the mandate that a schedule gives for one due time from the schedule, its template and that time.

Laws: each due time has exactly one mandate, with one id; a mandate that differs from it in anything was not given by
the schedule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import SCHEDULE_PREFIX, PrincipalId
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.template import filled
from answerable.core.registry.documents.placeholders import replaced
from answerable.core.registry.documents.time_rule import due, instant_of
from answerable.core.registry.parsing.spec_issuer import DATE_PLACEHOLDER

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.mandate import MandateTerms
    from answerable.core.registry.documents.documents import MandateTemplate, Schedule

RESERVED_IDS: Final = "schedule."
"""Prefix of mandate ids that is reserved for schedules: nobody can take such an id before its schedule is due."""


def scheduled_terms(schedule: Schedule, template: MandateTemplate, *, start: UnixMillis) -> MandateTerms:
    """Return the mandate for the due time `start`. Raises Malformed (`template.parameter`) for values that do not
    fit."""
    when = instant_of(start)
    day = {DATE_PLACEHOLDER: when.date().isoformat()}
    return filled(
        template,
        {name: replaced(value, day) for name, value in schedule.values},
        principal=PrincipalId(f"{SCHEDULE_PREFIX}{schedule.name}"),
        id=MandateId(f"{RESERVED_IDS}{schedule.name}.{when:%Y%m%dT%H%MZ}"),
        now=start,
    )


def is_due(schedule: Schedule, mandate: MandateTerms, *, now: UnixMillis) -> bool:
    """Whether the mandate is for the due time whose window contains `now`."""
    start = due(schedule.rule, now)
    return start is not None and mandate.not_before == start
