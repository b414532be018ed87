"""The duty of a group: who of its members is on call when, when they are let be, and who is asked next.

Laws: duty says who is told and who comes first, never who may answer; what it does not cover is covered by the whole
group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.registry.documents.time_rule import WEEKDAYS, Weekday

if TYPE_CHECKING:
    from datetime import date, datetime

    from answerable.core.identity.names.principal import PrincipalId

Line = Literal["first", "second"]
LINES: Final[tuple[Line, ...]] = get_args(Line)
StepWhen = Literal["unseen", "unanswered"]
STEP_WHEN: Final[tuple[StepWhen, ...]] = get_args(StepWhen)
StepAsks = Literal["second", "group", "other", "owner"]
STEP_ASKS: Final[tuple[StepAsks, ...]] = get_args(StepAsks)

DUTIES_MAX: Final = 256
SHIFTS_MAX: Final = 64
PEOPLE_MAX: Final = 32
"""Of one shift."""
STEPS_MAX: Final = 8
STEP_SECONDS_MAX: Final = 7 * 24 * 3600
TURN_DAYS_MAX: Final = 366
DELEGATION_DAYS_MAX: Final = 90
CRITICAL: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTimes:
    """A part of some days, by the wall clock of the duty's time zone: minutes after midnight.

    Where `stops_at` is not after `starts_at` it goes on into the next day; both alike are a whole day. days: on which
    it begins.
    """

    days: tuple[Weekday, ...] = WEEKDAYS
    starts_at: int = 0
    stops_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """people: all of them at once, or by turns of `turn_days` days from `first` on where that is not 0.

    times: which part of which days, every week, from `first` to `last` of the calendar, where these are given, both
    included. begins, ends: instead of that, one stretch by the wall clock, its end not included.
    """

    people: tuple[PrincipalId, ...]
    line: Line = "first"
    times: DayTimes | None = None
    first: date | None = None
    last: date | None = None
    turn_days: int = 0
    begins: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Times at which questions of tiers below `tier` disturb nobody. They wait, and time out as ever."""

    times: DayTimes
    tier: int = CRITICAL


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationStep:
    """after_seconds: from when people are asked. when: nobody who may answer has seen it, or it is not answered.

    asks: the second line, the whole group, the on-call of `group`, or whoever owns the capability.
    """

    after_seconds: int
    asks: StepAsks
    when: StepWhen = "unanswered"
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """zone: IANA name of a time zone, whose wall clock all times are of. steps: by time.

    deputies: groups whose members may stand in for a member of `group`, beside its own. delegation_days_max: how long
    at most.
    """

    name: str
    group: str
    zone: str
    shifts: tuple[Shift, ...] = ()
    quiet: QuietHours | None = None
    steps: tuple[EscalationStep, ...] = ()
    deputies: tuple[str, ...] = ()
    delegation_days_max: int = 14
