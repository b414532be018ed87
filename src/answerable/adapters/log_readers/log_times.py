"""Read the times of log lines as Unix milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_NAMED: Final = {"UTC": UTC, "GMT": UTC, "Z": UTC, "Etc/UTC": UTC}
_OFFSET: Final = re.compile(r"([+-])(\d\d):?(\d\d)?")
_DAY: Final = timedelta(days=1)
_KEPT_MAX: Final = 4_096
_MONTHS: Final = {
    name: f"{number:02}"
    for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}
_EPOCH: Final = re.compile(r"(\d{1,11})\.(\d{3})")


class LogTimes:
    """Reads times. zone: of times that name none, or one whose name means nothing elsewhere, such as `CET`; None where
    it is not known. now: Unix milliseconds, by which a time without a year gets one. misread:
    how many times were not understood so far."""

    def __init__(self, *, zone: timezone | None, now: int) -> None:
        self._zone = zone
        self._now = datetime.fromtimestamp(now / 1000, UTC)
        self._seconds: dict[str, int] = {}
        self.misread = 0

    def goes_on(self, now: int) -> None:
        """Note how late it is, in Unix milliseconds."""
        self._now = datetime.fromtimestamp(now / 1000, UTC)

    def stamped(self, text: str) -> int:
        """Read `2026-12-01 18:35:48.123 UTC` and RFC 3339; 0 for anything else, and where the zone is not known."""
        second, _, rest = text[:19], text[19:20], text[19:]
        digits = ""
        if rest.startswith((".", ",")):
            end = 1
            while rest[end : end + 1].isdecimal():
                end += 1
            digits, rest = rest[1:end], rest[end:]
        base = self._second(second, rest.strip())
        if not base:
            self.misread += bool(text)
            return 0
        return base + int(f"{digits:0<3.3}")

    def dated(self, day: str, month: str, year: str, clock: str) -> int:
        """Read a time whose month is a word: `02`, `Dec`, `2026`, `18:35:48.123 +0000`; 0 as `stamped`."""
        return self.stamped(f"{year}-{_MONTHS.get(month, '')}-{day} {clock}")

    def without_year(self, text: str) -> int:
        """Read `Dec  1 18:35:48` as the latest such time that is not after now; 0 for anything else."""
        zone = self._zone
        years = () if zone is None else (self._now.year + 1, self._now.year, self._now.year - 1)
        for year in years:
            try:
                found = datetime.strptime(f"{year} {text}", "%Y %b %d %H:%M:%S").replace(tzinfo=zone)
            except ValueError:
                continue
            if found <= self._now + _DAY:
                return int(found.timestamp()) * 1000
        self.misread += 1
        return 0

    def _second(self, second: str, zone: str) -> int:
        key = second + zone
        known = self._seconds.get(key)
        if known is not None:
            return known
        if len(self._seconds) >= _KEPT_MAX:
            self._seconds.clear()
        self._seconds[key] = found = self._parsed(second, zone)
        return found

    def _parsed(self, second: str, zone: str) -> int:
        try:
            when = datetime.fromisoformat(second)
        except ValueError:
            return 0
        named = _NAMED.get(zone) or offset_of(zone) or self._zone
        if named is None or when.tzinfo is not None:
            return 0
        # A time before 1970 is known, and of no step: it is not one that cannot be read.
        return max(1, int(when.replace(tzinfo=named).timestamp())) * 1000


def epoch_ms(text: str) -> int:
    """Read Unix seconds with three digits behind the point; 0 for any other text."""
    found = _EPOCH.fullmatch(text)
    return int(found[1]) * 1000 + int(found[2]) if found is not None else 0


def offset_of(text: str) -> timezone | None:
    """Return the time zone of an offset such as `+01:00`; None for any other text."""
    found = _OFFSET.fullmatch(text)
    if found is None:
        return None
    hours, minutes = int(found[2]), int(found[3] or 0)
    if hours > 23 or minutes > 59:
        return None
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(ahead if found[1] == "+" else -ahead)
