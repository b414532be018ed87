"""What stop rules counted, tripped and said in one process: the state of `trip_rules`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.decision.history import History

if TYPE_CHECKING:
    from answerable.core.containment.happening import Happening
    from answerable.core.containment.hold import Hold, Holdable
    from answerable.core.decision.counter import Counter
    from answerable.core.identity.principal import UnixMillis
    from answerable.core.registry.snapshot import RegistrySnapshot
    from answerable.core.registry.stop_rule import StopRule

PASSED_MAX: Final = 10_000
"""Limits that are passed and kept in mind; past that a rule with a grace holds at once."""
TRIPS_MAX: Final = 20_000
ENTRIES_NAMED_MAX: Final = 16
"""Of the entries that a number came from; the newest."""
OWNERS_MAX: Final = 10_000
"""Of which it is kept in mind which entries their numbers came from."""

Place = tuple[str, str, str]
"""Rule, owner, and what is counted apart."""
Fired = Literal["held", "would_hold", "warned"]


@dataclass(slots=True, kw_only=True)
class Trip:
    """A rule that fired. value: the number that was more than the limit. hold: in force, where it is not only said.

    entries: those that the number came from, the newest last, as far as they are in mind. of_attempt: the refusal of
    the attempt that was too much is still to come, and is the newest of them.
    """

    rule: StopRule
    fired: Fired
    owner: str
    keys: tuple[str, ...]
    value: int
    what: Holdable
    at: UnixMillis
    hold: Hold | None = None
    entries: list[int] = field(default_factory=list)
    of_attempt: bool = False


@dataclass(slots=True, kw_only=True)
class Passed:
    """since: monotonic seconds. is_said: a rule that runs dry has said by now what it would hold."""

    since: float
    happening: Happening
    is_said: bool = False


@dataclass(slots=True, kw_only=True)
class StopRules:
    """rules: of `snapshot`, with what they counted. passed: limits that are passed and led to no hold. trips: to be
    placed and written down. entries: that numbers came from. unsaid: trips there was no room to write down."""

    snapshot: RegistrySnapshot | None = None
    rules: tuple[tuple[StopRule, Counter | None], ...] = ()
    history: History = field(default_factory=History)
    passed: dict[Place, Passed] = field(default_factory=dict)
    trips: deque[Trip] = field(default_factory=deque)
    by_hold: dict[str, Trip] = field(default_factory=dict)
    entries: dict[tuple[str, str], deque[int]] = field(default_factory=dict)
    unsaid: int = 0
