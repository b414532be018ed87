"""Stops that came too late for some actions: how long it took until the last of these had ended.

Law: at most STOPS_MAX are kept in mind; past it the oldest is given up, and counts for no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

STOPS_MAX: Final = 1_000


class Stop(msgspec.Struct, frozen=True, array_like=True):
    """since: when it was in force, Unix milliseconds. left: intents that it came too late for, without an end yet."""

    since: int
    left: tuple[int, ...]


class Stops:
    """Those that are not contained yet, by their entry."""

    def __init__(self, found: dict[int, Stop] | None = None) -> None:
        self._stops = found or {}
        self._by_intent: dict[int, list[int]] = {}
        for entry, stop in self._stops.items():
            self._waits_for(entry, stop.left)

    def find(self, entry: int) -> Stop | None:
        """One of them."""
        return self._stops.get(entry)

    def began(self, entry: int, since: int, left: list[int]) -> tuple[int, ...]:
        """Returns the entries of those that changed."""
        self._stops[entry] = Stop(since, tuple(left))
        self._waits_for(entry, left)
        if len(self._stops) <= STOPS_MAX:
            return (entry,)
        oldest = next(iter(self._stops))
        del self._stops[oldest]
        return (entry, oldest)

    def ended(self, intent: int) -> tuple[list[int], list[int]]:
        """An intent has an end. Returns the entries of those that changed, and since when those were in force that are
        contained by now."""
        touched = [entry for entry in self._by_intent.pop(intent, ()) if entry in self._stops]
        contained: list[int] = []
        for entry in touched:
            stop = self._stops[entry]
            left = tuple(one for one in stop.left if one != intent)
            if left:
                self._stops[entry] = Stop(stop.since, left)
            else:
                contained.append(stop.since)
                del self._stops[entry]
        return touched, contained

    def _waits_for(self, entry: int, left: Iterable[int]) -> None:
        for intent in left:
            self._by_intent.setdefault(intent, []).append(entry)
