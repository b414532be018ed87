"""Evaluate named time windows. All times in UTC.

Laws: the end of a window is excluded; a part of a day that passes midnight belongs to the day on which it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.time_rule import MINUTES_OF_A_DAY, WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.registry.documents.policy_parts import TimeWindow

_MINUTE_MS: Final = 60_000
_FIRST_DAY: Final = WEEKDAYS.index("thu")
"""Of Unix time, 1 January 1970."""


def windows_at(windows: tuple[TimeWindow, ...], now: UnixMillis) -> Mapping[str, bool]:
    """Return for each window, by name, whether it is open. now: Unix milliseconds."""
    return {window.name: lasts(window, now) for window in windows}


def lasts(window: TimeWindow, now: UnixMillis) -> bool:
    """Whether the window is open at this moment."""
    if now < window.begins or (window.ends and now >= window.ends):
        return False
    if not window.days and window.starts_at == window.stops_at:
        return True
    day, minute = divmod(now // _MINUTE_MS, MINUTES_OF_A_DAY)
    weekday = (day + _FIRST_DAY) % 7
    today = WEEKDAYS[weekday]
    if window.starts_at == window.stops_at:
        return today in window.days
    if window.starts_at < window.stops_at:
        return window.starts_at <= minute < window.stops_at and (not window.days or today in window.days)
    began = today if minute >= window.starts_at else WEEKDAYS[weekday - 1]
    within = minute >= window.starts_at or minute < window.stops_at
    return within and (not window.days or began in window.days)
