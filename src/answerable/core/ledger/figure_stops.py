"""Measure how long it takes after a stop until the actions that were already running have ended.

Law: at most STOPS_MAX stops are held in memory; past it the oldest is dropped and not measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

STOPS_MAX: Final = 1_000


class Stop(msgspec.Struct, frozen=True, array_like=True):
    """A stop that waits for running actions. since: when the stop came into force, Unix milliseconds. left: intents
    that were running then and have no end yet."""

    since: int
    left: tuple[int, ...]


class Stops:
    """The stops that still wait for running actions, by ledger entry."""

    def __init__(self, found: dict[int, Stop] | None = None) -> None:
        self._stops = found or {}
        self._by_intent: dict[int, list[int]] = {}
        for entry, stop in self._stops.items():
            self._waits_for(entry, stop.left)

    def find(self, entry: int) -> Stop | None:
        """Return the stop of this entry, if it is still waiting."""
        return self._stops.get(entry)

    def began(self, entry: int, since: int, left: list[int]) -> tuple[int, ...]:
        """Add a stop; return the entries of the stops that changed."""
        self._stops[entry] = Stop(since, tuple(left))
        self._waits_for(entry, left)
        if len(self._stops) <= STOPS_MAX:
            return (entry,)
        oldest = next(iter(self._stops))
        del self._stops[oldest]
        return (entry, oldest)

    def ended(self, intent: int) -> tuple[list[int], list[int]]:
        """Note the end of an intent. Return the entries of the stops that changed, and the `since` of those now
        contained."""
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
