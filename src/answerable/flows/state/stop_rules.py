"""What stop rules counted, tripped and said in one process: the state of `trigger_rules`."""

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
"""Limits that are passed and kept in mind; past that a rule with a grace holds at once."""
TRIPS_MAX: Final = 20_000
"""Of one kind that wait to be written down; what is past that is counted."""
ENTRIES_NAMED_MAX: Final = 16
"""Of the entries that a number came from; the newest."""
OWNERS_MAX: Final = 10_000
"""Of which it is kept in mind which entries their numbers came from."""
WAIT_SECONDS_MAX: Final = 86_400.0
"""Of one wait at a bell: what a timer takes."""

Place = tuple[str, str, str]
"""Rule, owner, and what is counted apart."""
Fired = Literal["held", "would_hold", "warned"]


@dataclass(slots=True, kw_only=True)
class RuleTrigger:
    """A rule that fired. value: the number that was more than the limit. hold: in force, where it is not only said.

    entries: those that the number came from, the newest last, as far as they are in mind. of_attempt: the refusal of
    the attempt that was too much is still to come, and is the newest of them. placed: the hold that every process sees;
    in_flight: what it came too late for.
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
    """Rung by whoever adds something, in the event loop; heard by the one that takes it, so that nobody polls."""

    __slots__ = ("_has_rung", "_listening")

    def __init__(self) -> None:
        self._has_rung = False
        self._listening: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake who waits, or have the next wait end at once."""
        self._has_rung = True
        if self._listening is not None:
            _wake(self._listening)

    async def heard(self, *, seconds_max: float) -> None:
        """Wait until it has rung since the last time that this was awaited, or so long."""
        if not self._has_rung:
            # No cancel scope: one that runs out costs ten times as much as a timer, and there are many bells.
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
    """Trips in the order in which they fired. One that failed stands aside until all are tried again, and holds up
    nobody; there is one that takes from it, and whoever adds to it does not wait."""

    __slots__ = ("_aside", "_bell", "_due")

    def __init__(self, bell: Bell) -> None:
        self._due: deque[RuleTrigger] = deque()
        self._aside: deque[RuleTrigger] = deque()
        self._bell = bell

    def __len__(self) -> int:
        return len(self._due) + len(self._aside)

    @property
    def due(self) -> int:
        """How many are not aside."""
        return len(self._due)

    def append(self, trip: RuleTrigger) -> None:
        """The newest. Who waits for one is told."""
        self._due.append(trip)
        self._bell.ring()

    def first(self) -> RuleTrigger | None:
        """The oldest that is not aside; it stays until it is done or put aside."""
        return self._due[0] if self._due else None

    def done(self) -> None:
        """The first has come to its end."""
        self._due.popleft()

    def put_aside(self, count: int = 1) -> None:
        """The first of them wait until all are tried again."""
        for _ in range(count):
            self._aside.append(self._due.popleft())

    def retry(self) -> None:
        """Those that stood aside are the oldest again."""
        if self._aside:
            self._aside.extend(self._due)
            self._due, self._aside = self._aside, deque()


@dataclass(slots=True, kw_only=True)
class Passed:
    """since: monotonic seconds. keys: what was counted. is_said: a rule that runs dry has said by now what it would
    hold."""

    since: float
    stop_rule_signal: StopRuleSignal
    keys: tuple[str, ...]
    is_said: bool = False


@dataclass(slots=True, kw_only=True)
class StopRules:
    """rules: of `snapshot`, with what they counted. passed: limits that are passed and led to no hold.

    to_place, to_write: ring for each of `held`, and for each of the other two.
    held: trips whose hold is on its way to the other processes. placed: those that it got to, to be carried out and
    written down. said: warnings and dry runs, to be written down. by_hold: trips of the first two. unsaid: trips there
    was no room to write down. entries: that numbers came from. noes: when people last said a no that counts, by agent
    and capability.
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
    unsaid: int = 0
    noes: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.held = TripQueue(self.to_place)
        self.placed, self.said = TripQueue(self.to_write), TripQueue(self.to_write)
