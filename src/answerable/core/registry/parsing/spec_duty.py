"""Parse the spec of a Duty document."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import PrincipalId
from answerable.core.registry.documents.duty import (
    CRITICAL,
    DELEGATION_DAYS_MAX,
    LINES,
    PEOPLE_MAX,
    SHIFTS_MAX,
    STEP_ASKS,
    STEP_SECONDS_MAX,
    STEP_WHEN,
    STEPS_MAX,
    TURN_DAYS_MAX,
    DayTimes,
    Duty,
    EscalationStep,
    QuietHours,
    Shift,
)
from answerable.core.registry.documents.fields import matching, nearest
from answerable.core.registry.documents.on_call import zone_of
from answerable.core.registry.documents.time_rule import WEEKDAYS
from answerable.core.registry.parsing.spec_shared import TIME_OF_DAY, checked_date, minutes_of, name_of
from answerable.errors import shown
from answerable.errors.codes.approval import DUTY_STEP, DUTY_ZONE
from answerable.errors.codes.documents import DOCUMENT_CHOICE, DOCUMENT_DATE, DOCUMENT_MISSING, DOCUMENT_SIZE

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields

DUTY_KEYS: Final = (
    "group",
    "timeZone",
    "shifts",
    "quietHours",
    "escalation",
    "deputies",
    "delegationDaysMax",
)
SHIFT_KEYS: Final = (
    "people",
    "line",
    "days",
    "from",
    "until",
    "firstDay",
    "lastDay",
    "turnDays",
    "begins",
    "ends",
)
QUIET_KEYS: Final = ("days", "from", "until", "exceptFromTier")
STEP_KEYS: Final = ("afterSeconds", "when", "ask", "group")

_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")
_WALL: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_CODE: Final = "duty.shift"


def duty_in(spec: Fields, name: str) -> Duty:
    """Read the spec. Records faults, and never raises."""
    shifts = [_shift(one) for one in spec.sections("shifts", SHIFT_KEYS)]
    steps = [_step(one) for one in spec.sections("escalation", STEP_KEYS)]
    for key, found, most in (("shifts", shifts, SHIFTS_MAX), ("escalation", steps, STEPS_MAX)):
        if len(found) > most:
            spec.fault(f"expected at most {most}, got {len(found)}", key, code=DOCUMENT_SIZE.id)
    times = [one.after_seconds for one in steps]
    if times != sorted(times):
        spec.fault("steps stand in the order of their times", "escalation", code=DUTY_STEP.id)
    return Duty(
        name=name,
        group=spec.text("group", check=name_of("group")),
        zone=spec.text("timeZone", check=_checked_zone),
        shifts=tuple(shifts),
        quiet=_quiet(spec.section("quietHours", QUIET_KEYS)) if spec.has("quietHours") else None,
        steps=tuple(steps),
        deputies=spec.texts("deputies", check=name_of("group")),
        delegation_days_max=spec.integer(
            "delegationDaysMax", minimum=1, maximum=DELEGATION_DAYS_MAX, default=14
        ),
    )


def _shift(section: Fields) -> Shift:
    people = section.texts("people", check=name_of("principal"))
    if not 1 <= len(people) <= PEOPLE_MAX:
        section.fault(f"a shift has 1 to {PEOPLE_MAX} people", "people", code=_CODE)
    weekly = [key for key in ("days", "from", "until", "firstDay", "lastDay", "turnDays") if section.has(key)]
    once = section.has("begins") or section.has("ends")
    if once and weekly:
        message = f"`{weekly[0]}` is of shifts of every week, `begins` and `ends` of one that is once"
        section.fault(message, weekly[0], code=_CODE)
    begins, ends = (_wall(section, key) for key in ("begins", "ends")) if once else (None, None)
    if begins is not None and ends is not None and ends <= begins:
        section.fault("`ends` is not after `begins`", "ends", code=_CODE)
    turn_days = section.integer("turnDays", minimum=1, maximum=TURN_DAYS_MAX, default=0)
    if turn_days and not section.has("firstDay"):
        section.fault("turns are counted from a day: say `firstDay`", "firstDay", code=DOCUMENT_MISSING.id)
    first, last = _day(section, "firstDay"), _day(section, "lastDay")
    if first is not None and last is not None and last < first:
        section.fault("`lastDay` is before `firstDay`", "lastDay", code=_CODE)
    return Shift(
        people=tuple(PrincipalId(one) for one in people),
        line=section.choice("line", LINES, default="first"),
        times=None if once else _times(section),
        first=first,
        last=last,
        turn_days=turn_days,
        begins=begins,
        ends=ends,
    )


def _quiet(section: Fields) -> QuietHours:
    for key in ("from", "until"):
        if not section.has(key):
            section.fault(f"`{key}` is missing", key, code=DOCUMENT_MISSING.id)
    return QuietHours(
        times=_times(section),
        tier=section.integer("exceptFromTier", minimum=1, maximum=CRITICAL, default=CRITICAL),
    )


def _step(section: Fields) -> EscalationStep:
    asks = section.choice("ask", STEP_ASKS)
    if (asks == "other") != section.has("group"):
        message = "`group` needs `ask: other`, and `ask: other` needs `group`"
        section.fault(message, "group", code=DUTY_STEP.id)
    return EscalationStep(
        after_seconds=section.integer("afterSeconds", minimum=1, maximum=STEP_SECONDS_MAX),
        when=section.choice("when", STEP_WHEN, default="unanswered"),
        asks=asks,
        group=section.text("group", default="", check=name_of("group")),
    )


def _times(section: Fields) -> DayTimes:
    days = section.texts("days", check=_checked_weekday)
    starts, stops = (
        section.text(key, default="00:00", check=matching(TIME_OF_DAY, "a time of day like `08:30`"))
        for key in ("from", "until")
    )
    return DayTimes(
        days=tuple(day for day in WEEKDAYS if day in days) or WEEKDAYS,
        starts_at=minutes_of(starts) if TIME_OF_DAY.fullmatch(starts) else 0,
        stops_at=minutes_of(stops) if TIME_OF_DAY.fullmatch(stops) else 0,
    )


def _day(section: Fields, name: str) -> date | None:
    text = section.text(name, default="", check=checked_date)
    return date.fromisoformat(text) if text else None


def _wall(section: Fields, name: str) -> datetime | None:
    text = section.text(name, check=_checked_wall)
    return datetime.fromisoformat(text) if text else None


def _checked_wall(text: str) -> None:
    try:
        if not _WALL.fullmatch(text):
            raise ValueError
        datetime.fromisoformat(text)
    except ValueError:
        raise DOCUMENT_DATE(f"{shown(text)} is not a local time like `2026-12-24T18:00`") from None


def _checked_weekday(text: str) -> None:
    if text not in WEEKDAYS:
        raise DOCUMENT_CHOICE(f"{shown(text)} is not a day of the week{nearest(text, WEEKDAYS)}")


def _checked_zone(text: str) -> None:
    """Check a time zone. The form is checked first, since the look-up uses the name as part of a file path."""
    try:
        if not _ZONE.fullmatch(text):
            raise ValueError
        zone_of(text)
    except (ValueError, KeyError, OSError):
        raise DUTY_ZONE(
            f"time zone {shown(text)} is not in this machine's time zone database: write an IANA name like "
            "`Europe/Berlin`, and see that the system's `tzdata` is there"
        ) from None
