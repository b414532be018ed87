"""Duties, shifts and wall times, as tests of duty write them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.documents.duty import DayTimes, Duty, Shift

BERLIN = "Europe/Berlin"
ANNA, BEN, CARLA, DORA = (PrincipalId(name) for name in ("anna", "ben", "carla", "dora"))
EVERYBODY = (ANNA, BEN, CARLA, DORA)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def millis(wall: str, zone: str = BERLIN, fold: int = 0) -> UnixMillis:
    when = datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return UnixMillis(round(when.timestamp() * 1000))


def duty(*shifts: Shift, **changes: object) -> Duty:
    return replace(Duty(name="pay", group="pay", zone=BERLIN, shifts=shifts), **changes)


def weekly(
    *people: PrincipalId, days: tuple[str, ...] | None = None, at: str = "00:00-00:00", **more: object
) -> Shift:
    starts, stops = (int(one[:2]) * 60 + int(one[3:]) for one in at.split("-"))
    times = DayTimes(starts_at=starts, stops_at=stops)
    if days is not None:
        times = replace(times, days=days)
    return replace(Shift(people=people, times=times), **more)
