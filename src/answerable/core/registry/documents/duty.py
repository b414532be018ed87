"""The duty of a group: which members are on call when, its quiet hours, and its escalation.

Laws: duty decides who is notified and in which order, never who may answer; at times that the duty does not cover, the
whole group is on call.
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
"""Most people of one shift."""
STEPS_MAX: Final = 8
STEP_SECONDS_MAX: Final = 7 * 24 * 3600
TURN_DAYS_MAX: Final = 366
DELEGATION_DAYS_MAX: Final = 90
CRITICAL: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTimes:
    """A part of some days, by the wall clock of the duty's time zone: minutes after midnight.

    If `stops_at` is not after `starts_at` it continues into the next day; if both are equal it is a whole day. days:
    the days on which it begins.
    """

    days: tuple[Weekday, ...] = WEEKDAYS
    starts_at: int = 0
    stops_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A shift of the duty. people: all at once, or in turns of `turn_days` days counted from `first` if `turn_days` is
    not 0.

    times: which part of which days, every week, between the dates `first` and `last`, if given, both included. begins,
    ends: instead of `times`, one period by the wall clock, its end not included.
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
    """Times at which questions of tiers below `tier` notify nobody. They wait, and time out as usual."""

    times: DayTimes
    tier: int = CRITICAL


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationStep:
    """A step of the escalation. after_seconds: when people are asked. when: condition: no permitted person has seen the
    question, or it is unanswered.

    asks: the second line, the whole group, the on-call people of `group`, or the capability's owner.
    """

    after_seconds: int
    asks: StepAsks
    when: StepWhen = "unanswered"
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """The duty of one group. zone: IANA name of the time zone of all wall-clock times. steps: ordered by time.

    deputies: groups whose members may be deputy for a member of `group`, besides the group's own. delegation_days_max:
    longest duration of such a delegation.
    """

    name: str
    group: str
    zone: str
    shifts: tuple[Shift, ...] = ()
    quiet: QuietHours | None = None
    steps: tuple[EscalationStep, ...] = ()
    deputies: tuple[str, ...] = ()
    delegation_days_max: int = 14
