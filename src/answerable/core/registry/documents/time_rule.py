"""Due times of schedules: at times of the day or at an interval of minutes, on some days, between two dates; all in
UTC.

Laws: a moment belongs to one due time at most; outside the window after a due time nothing is due; a rule has an end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, get_args

from answerable.core.identity.names.principal import UnixMillis

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
MINUTES_OF_A_DAY: Final = 24 * 60

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRule:
    """A rule. at: minutes after midnight, in order. every: minutes between due times, from the first midnight on.
    Exactly one of both is set.

    within: minutes after a due time in which a mandate may be given for it. days: days on which it is due, all if
    empty. first, last: dates, both included.
    """

    first: date
    last: date
    at: tuple[int, ...] = ()
    every: int = 0
    within: int = 15
    days: tuple[Weekday, ...] = ()


def due(rule: TimeRule, now: UnixMillis) -> UnixMillis | None:
    """Return the due time for which a mandate may be given now, or None if nothing is due."""
    moment = _EPOCH + timedelta(milliseconds=now)
    begins = datetime.combine(rule.first, time(), UTC)
    if rule.every:
        if moment < begins:
            return None
        passed = (moment - begins) // timedelta(minutes=rule.every)
        candidates = [begins + passed * timedelta(minutes=rule.every)]
    else:
        midnight = datetime.combine(moment.date(), time(), UTC)
        candidates = [
            midnight + timedelta(days=back, minutes=minutes) for back in (-1, 0) for minutes in rule.at
        ]
    past = [one for one in candidates if one <= moment and _on_a_day(rule, one.date())]
    if not past or moment - max(past) >= timedelta(minutes=rule.within):
        return None
    return UnixMillis((max(past) - _EPOCH) // timedelta(milliseconds=1))


def instant_of(at: UnixMillis) -> datetime:
    """Convert a due time to a `datetime` in UTC."""
    return _EPOCH + timedelta(milliseconds=at)


def said(rule: TimeRule) -> str:
    """Return the rule in human-readable words."""
    when = (
        f"every {rule.every} minutes"
        if rule.every
        else f"at {', '.join(f'{m // 60:02}:{m % 60:02}' for m in rule.at)}"
    )
    days = f" on {', '.join(rule.days)}" if rule.days else ""
    return f"{when} UTC{days}, from {rule.first.isoformat()} to {rule.last.isoformat()}, within {rule.within} minutes"


def _on_a_day(rule: TimeRule, day: date) -> bool:
    return rule.first <= day <= rule.last and (not rule.days or WEEKDAYS[day.weekday()] in rule.days)
