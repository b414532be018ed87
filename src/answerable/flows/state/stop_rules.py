"""State of the stop rules in one process: counters, passed limits, and trips to carry out (see `trigger_rules`)."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.decision.history import History

if TYPE_CHECKING:
    from answerable.core.containment.hold import Hold, HoldTarget
    from answerable.core.containment.stop_rule_signal import StopRuleSignal
    from answerable.core.decision.counter import Counter
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.effects import InFlight
    from answerable.core.registry.documents.stop_rule import StopRule
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

PASSED_MAX: Final = 10_000
"""Passed limits in memory; past that a rule with a grace period holds at once."""
TRIPS_MAX: Final = 20_000
"""Trips of one kind that wait to be written; more are only counted."""
ENTRIES_NAMED_MAX: Final = 16
"""Newest entries named as the source of a number."""
OWNERS_MAX: Final = 10_000
"""Owners whose source entries are in memory."""
WAIT_SECONDS_MAX: Final = 86_400.0
"""Longest single wait on a bell, the most a timer takes."""

Place = tuple[str, str, str]
"""Rule, owner, and the keys that are counted separately."""
Fired = Literal["held", "would_hold", "warned"]


@dataclass(slots=True, kw_only=True)
class RuleTrigger:
    """A rule that fired. `value`: the number that exceeded the limit. `hold`: the hold in force; None for a warning or
    dry run.

    `entries`: the entries behind the number, newest last, as far as in memory. `of_attempt`: the refusal of the attempt
    that exceeded the limit is still to be recorded, and will be the newest entry. `placed`: the hold in the shared
    register. `in_flight`: the actions for which it came too late.
    """

    rule: StopRule
    fired: Fired
    owner: str
    keys: tuple[str, ...]
    value: int
    what: HoldTarget
    at: UnixMillis
    hold: Hold | None = None
    entries: list[int] = field(default_factory=list)
    of_attempt: bool = False
    placed: Hold | None = None
    in_flight: tuple[InFlight, ...] = ()


class Bell:
    """An event for one waiting task in the event loop, so that nothing polls. Any producer rings."""

    __slots__ = ("_has_rung", "_listening")

    def __init__(self) -> None:
        self._has_rung = False
        self._listening: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the waiting task, or let the next wait return at once."""
        self._has_rung = True
        if self._listening is not None:
            _wake(self._listening)

    async def heard(self, *, seconds_max: float) -> None:
        """Wait until the bell has rung since the last wait, at most `seconds_max` seconds."""
        if not self._has_rung:
            # Use a timer, not a cancel scope: an expiring scope costs ten times as much, and there are many bells.
            loop = asyncio.get_running_loop()
            self._listening = loop.create_future()
            timer = loop.call_later(min(seconds_max, WAIT_SECONDS_MAX), _wake, self._listening)
            try:
                await self._listening
            finally:
                timer.cancel()
                self._listening = None
        self._has_rung = False


def _wake(listening: asyncio.Future[None]) -> None:
    if not listening.done():
        listening.set_result(None)


class TripQueue:
    """Trips in the order in which they fired, for one consumer; producers do not wait.

    A trip that failed is put aside until all are retried, so that it does not block others.
    """

    __slots__ = ("_aside", "_bell", "_due")

    def __init__(self, bell: Bell) -> None:
        self._due: deque[RuleTrigger] = deque()
        self._aside: deque[RuleTrigger] = deque()
        self._bell = bell

    def __len__(self) -> int:
        return len(self._due) + len(self._aside)

    @property
    def due(self) -> int:
        """The number of trips not put aside."""
        return len(self._due)

    def append(self, trip: RuleTrigger) -> None:
        """Add the newest trip and ring the bell."""
        self._due.append(trip)
        self._bell.ring()

    def first(self) -> RuleTrigger | None:
        """Return the oldest trip not put aside; it stays until `done` or `put_aside`."""
        return self._due[0] if self._due else None

    def done(self) -> None:
        """Remove the first trip: it is complete."""
        self._due.popleft()

    def put_aside(self, count: int = 1) -> None:
        """Put the first trips aside until all are retried."""
        for _ in range(count):
            self._aside.append(self._due.popleft())

    def retry(self) -> None:
        """Queue the trips put aside again, as the oldest."""
        if self._aside:
            self._aside.extend(self._due)
            self._due, self._aside = self._aside, deque()


@dataclass(slots=True, kw_only=True)
class Passed:
    """A passed limit. `since`: monotonic seconds. `keys`: what was counted. `is_said`: reported by a dry-run rule."""

    since: float
    stop_rule_signal: StopRuleSignal
    keys: tuple[str, ...]
    is_said: bool = False


@dataclass(slots=True, kw_only=True)
class StopRules:
    """Counters and trips of the stop rules in force.

    `rules`: of `snapshot`, with their counters. `passed`: limits that are passed without a hold so far.

    `to_place`, `to_write`: bells of `held`, and of `placed` and `said`. `held`: trips whose hold is not in the shared
    register yet. `placed`: trips whose hold is, to be carried out and recorded. `said`: warnings and dry runs, to be
    recorded. `by_hold`: trips of `held` and `placed`. `unsaid`: number of trips dropped because the queue was full.
    `entries`: sources of the numbers. `named_from`: the first entry from which a rule's are in memory, by rule. `noes`:
    time of the last denial by people that counts, by agent and capability.
    """

    snapshot: RegistrySnapshot | None = None
    rules: tuple[tuple[StopRule, Counter | None], ...] = ()
    history: History = field(default_factory=History)
    passed: dict[Place, Passed] = field(default_factory=dict)
    to_place: Bell = field(default_factory=Bell)
    to_write: Bell = field(default_factory=Bell)
    held: TripQueue = field(init=False)
    placed: TripQueue = field(init=False)
    said: TripQueue = field(init=False)
    by_hold: dict[str, RuleTrigger] = field(default_factory=dict)
    entries: dict[tuple[str, str], deque[int]] = field(default_factory=dict)
    named_from: dict[str, int] = field(default_factory=dict)
    unsaid: int = 0
    noes: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.held = TripQueue(self.to_place)
        self.placed, self.said = TripQueue(self.to_write), TripQueue(self.to_write)
