"""Simulate a stop rule: find the holds it would have placed on the recorded actions. Changes nothing.

Actions that a simulated hold would have stopped no longer count towards the limit. Those that were done are reported as
the price of the hold, so that a rule that stops wanted work is found before it is in force.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.containment.stop_rule_signal import holdable_of
from answerable.errors import shown
from answerable.errors.codes.containment import STOP_RULE_UNKNOWN
from answerable.flows.counters.rule_numbers import number_of
from answerable.flows.recording.paced_reading import in_turns

if TYPE_CHECKING:
    from answerable.core.containment.hold import HoldTarget
    from answerable.core.containment.stop_rule_signal import StopRuleSignal
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.registry.documents.stop_rule import StopRule
    from answerable.flows.counters.rule_numbers import Place, RuleNumber
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.walk_limits import WalkLimits

SECONDS_MAX: Final = 20
FIRINGS_MAX: Final = 1_000


@dataclass(slots=True, kw_only=True)
class Firing:
    """One hold that the rule would have placed.

    `index`, `at`: of the entry that exceeded the limit. `stopped`: actions done although this hold would have stopped
    them.
    """

    index: int
    at: int
    owner: str
    value: int
    what: HoldTarget
    stopped: int = 0


@dataclass(slots=True, kw_only=True)
class RuleTrial:
    """The result of a simulation.

    `start`, `end`: first index read, and first index not read. `size`: of the ledger then. `unlisted`: firings past
    `FIRINGS_MAX`. `unknown`: how often a tracker's value was unknown because erased entries cannot be read.
    """

    start: int
    end: int
    size: int
    firings: list[Firing] = field(default_factory=list)
    unlisted: int = 0
    unknown: int = 0


async def simulate_rule(
    recorder: Recorder, authority: AuthorityRegisters, limits: WalkLimits, name: str, *, since: int = 0
) -> RuleTrial:
    """Simulate the rule for at most `SECONDS_MAX` seconds of reading.

    `since`: Unix milliseconds; actions within the rule's window before it are counted, too. Raises Malformed
    (`stop_rule.unknown`).
    """
    rule = authority.registry.current.stop_rules.get(name)
    if rule is None:
        raise STOP_RULE_UNKNOWN(f"there is no stop rule {shown(name)}: apply it with `dryRun: true` first")
    number = number_of(recorder, authority, limits, rule, since)
    trial = _Trial(rule, number, since)
    found = RuleTrial(start=number.start, end=number.start, size=recorder.ledger.size)
    async for stored in in_turns(
        recorder.ledger, recorder.clock, number.start, recorder.clock.monotonic() + SECONDS_MAX
    ):
        for stop_rule_signal in number.told(stored):
            trial.saw(stop_rule_signal, stored)
        found.end = stored.index + 1
    found.firings, found.unlisted, found.unknown = trial.firings, trial.unlisted, trial.unknown
    return found


class _Trial:
    """Evaluates one rule over signals in order."""

    def __init__(self, rule: StopRule, number: RuleNumber, since: int) -> None:
        self._rule, self._number, self._since = rule, number, since
        self._held: dict[HoldTarget, Firing] = {}
        self._passed: dict[Place, tuple[int, StopRuleSignal, int]] = {}
        self.firings: list[Firing] = []
        self.unlisted = self.unknown = 0

    def saw(self, stop_rule_signal: StopRuleSignal, stored: StoredEntry) -> None:
        """Count a signal, and record the hold it would have caused."""
        self._after_grace(stop_rule_signal.at)
        held = self._holding(stop_rule_signal)
        if held is not None:
            held.stopped += stop_rule_signal.kind == "started"
            self._number.passed_over(stored)
            return
        places = self._number.counted(stored, stop_rule_signal)
        if stop_rule_signal.at < self._since:
            return
        for place in places:
            value = self._number.value(place, stop_rule_signal, stop_rule_signal.at)
            if value is None:
                self.unknown += 1
            elif value <= self._rule.limit:
                self._passed.pop(place, None)
            elif self._rule.grace_seconds:
                self._passed.setdefault(place, (stop_rule_signal.at, stop_rule_signal, stored.index))
            else:
                self._fire(place, value, stop_rule_signal, stored.index, stop_rule_signal.at)
                # The exceeding action would not have begun, so its end must not count.
                self._number.passed_over(stored)

    def _after_grace(self, now: int) -> None:
        for place, (since, stop_rule_signal, index) in list(self._passed.items()):
            due = since + self._rule.grace_seconds * 1000
            if now < due:
                continue
            del self._passed[place]
            value = self._number.value(place, stop_rule_signal, due)
            if value is not None and value > self._rule.limit:
                self._fire(place, value, stop_rule_signal, index, due)

    def _fire(self, place: Place, value: int, stop_rule_signal: StopRuleSignal, index: int, at: int) -> None:
        what = holdable_of(self._rule, stop_rule_signal, place[0])
        firing = Firing(index=index, at=at, owner=place[0], value=value, what=what)
        self._held[what] = firing
        self._number.forget(place)
        if len(self.firings) < FIRINGS_MAX:
            self.firings.append(firing)
        else:
            self.unlisted += 1

    def _holding(self, stop_rule_signal: StopRuleSignal) -> Firing | None:
        """Return the simulated hold that would have stopped the action of this signal, if any."""
        under = (
            *(("agent", one) for one in stop_rule_signal.agents),
            *(("instance", one) for one in stop_rule_signal.instances),
            ("mandate", stop_rule_signal.mandate),
            ("server", stop_rule_signal.server),
            ("tool", f"{stop_rule_signal.server}/{stop_rule_signal.tool}" if stop_rule_signal.tool else ""),
            ("capability", stop_rule_signal.capability),
        )
        lasts = self._rule.expires_seconds * 1000
        for what, firing in self._held.items():
            if tuple(what) in under and (not lasts or stop_rule_signal.at < firing.at + lasts):
                return firing
        return None
