"""Compute from a duty who is on call at a moment, when quiet hours end, and which periods nobody covers.

`zoneinfo` converts wall-clock times (IANA time zone database). At a clock change a wall time occurs twice or never and
has two readings (PEP 495): a shift begins at the earlier and ends at the later reading. So a shift from 22:00 to 06:00
lasts seven, eight or nine hours, no minute is lost, and for an hour the people of two shifts may be on call.

Laws: the end of a shift is not part of it; of overlapping shifts the people of all are on call; a turn belongs to the
day on which the shift begins.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.documents.time_rule import WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from answerable.core.registry.documents.duty import DayTimes, Duty, Line, Shift

GAP_DAYS_MAX: Final = 92
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Stretch = tuple[UnixMillis, UnixMillis]


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone. Raises KeyError or ValueError for a name that this machine's database does not contain."""
    return ZoneInfo(name)


def on_call(duty: Duty, now: UnixMillis, line: Line = "first") -> tuple[PrincipalId, ...]:
    """Return everybody who is on call in this line, each once, in the order of the shifts. now: Unix milliseconds."""
    zone = zone_of(duty.zone)
    today = _local(now, zone).date()
    found = (
        who
        for shift in duty.shifts
        if shift.line == line
        for begins, ends, people in _stretches(shift, zone, today - timedelta(days=1), today)
        if begins <= now < ends
        for who in people
    )
    return tuple(dict.fromkeys(found))


def quiet_until(duty: Duty, tier: int, now: UnixMillis) -> UnixMillis | None:
    """Return when the current quiet hours end for questions of this tier, or None outside quiet hours."""
    if duty.quiet is None or tier >= duty.quiet.tier:
        return None
    zone = zone_of(duty.zone)
    ends = now
    # Adjoining quiet hours are merged. More than a week of them cannot occur without a gap.
    for _ in range(len(WEEKDAYS) + 1):
        today = _local(ends, zone).date()
        stretches = _of_days(duty.quiet.times, zone, today - timedelta(days=1), today)
        last = max((until for begins, until, _ in stretches if begins <= ends < until), default=ends)
        if last == ends:
            break
        ends = last
    return ends if ends > now else None


def cover_gaps(
    duty: Duty, members: Collection[PrincipalId], *, since: UnixMillis, days: int
) -> tuple[_Stretch, ...]:
    """Return the periods in which none of `members` is on call in the first line, in order, for at most `GAP_DAYS_MAX`
    days."""
    zone = zone_of(duty.zone)
    until = UnixMillis(since + min(days, GAP_DAYS_MAX) * 86_400_000)
    from_day, to_day = _local(since, zone).date() - timedelta(days=1), _local(until, zone).date()
    covered = sorted(
        (begins, ends)
        for shift in duty.shifts
        if shift.line == "first"
        for begins, ends, people in _stretches(shift, zone, from_day, to_day)
        if ends > since and begins < until and not set(members).isdisjoint(people)
    )
    gaps: list[_Stretch] = []
    reached = since
    for begins, ends in covered:
        if begins > reached:
            gaps.append((reached, begins))
        reached = max(reached, ends)
    if reached < until:
        gaps.append((reached, until))
    return tuple(gaps)


def gap_text(duty: Duty, gap: _Stretch) -> str:
    """Format a gap for people: `Sat 2026-12-05 00:00 to 08:00 (Europe/Berlin)`."""
    begins, ends = (_local(moment, zone_of(duty.zone)) for moment in gap)
    until = f"{ends:%H:%M}" if ends.date() == begins.date() else f"{ends:%a %Y-%m-%d %H:%M}"
    return f"{begins:%a %Y-%m-%d %H:%M} to {until} ({duty.zone})"


def _stretches(
    shift: Shift, zone: ZoneInfo, from_day: date, to_day: date
) -> Iterator[tuple[UnixMillis, UnixMillis, tuple[PrincipalId, ...]]]:
    """Yield the periods of a shift that begin between two days, both included; a shift with fixed ends always
    yields."""
    if shift.begins is not None and shift.ends is not None:
        yield _earlier(shift.begins, zone), _later(shift.ends, zone), shift.people
    if shift.times is None:
        return
    first = max(from_day, shift.first) if shift.first is not None else from_day
    last = min(to_day, shift.last) if shift.last is not None else to_day
    for begins, ends, day in _of_days(shift.times, zone, first, last):
        yield begins, ends, _turn(shift, day)


def _of_days(
    times: DayTimes, zone: ZoneInfo, first: date, last: date
) -> Iterator[tuple[UnixMillis, UnixMillis, date]]:
    for ahead in range((last - first).days + 1):
        day = first + timedelta(days=ahead)
        if WEEKDAYS[day.weekday()] in times.days:
            ends_on = day if times.starts_at < times.stops_at else day + timedelta(days=1)
            begins, ends = _wall(day, times.starts_at), _wall(ends_on, times.stops_at)
            yield _earlier(begins, zone), _later(ends, zone), day


def _turn(shift: Shift, day: date) -> tuple[PrincipalId, ...]:
    if not shift.turn_days or shift.first is None:
        return shift.people
    turn = (day - shift.first).days // shift.turn_days % len(shift.people)
    return (shift.people[turn],)


def _wall(day: date, minutes: int) -> datetime:
    return datetime.combine(day, time(minutes // 60, minutes % 60))


def _earlier(wall: datetime, zone: ZoneInfo) -> UnixMillis:
    return min(_readings(wall, zone))


def _later(wall: datetime, zone: ZoneInfo) -> UnixMillis:
    return max(_readings(wall, zone))


def _readings(wall: datetime, zone: ZoneInfo) -> tuple[UnixMillis, UnixMillis]:
    first, second = (
        (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
        for fold in (0, 1)
    )
    return UnixMillis(first), UnixMillis(second)


def _local(moment: UnixMillis, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(milliseconds=moment)).astimezone(zone)
