"""What a stop rule would have held, had it been in force: by what the log says happened. Changes nothing.

What would have stood still counts no more, and what of it was done nevertheless is counted as the price: a rule that
would have stopped what people wanted done is seen before it stops anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.containment.happening import events_of, holdable_of, keys_of, owners_of, tracker_of
from answerable.core.decision.counter import RESOURCES_MAX
from answerable.core.decision.history import History
from answerable.errors import Malformed, Refused, shown
from answerable.flows.recall_rules import RuleReader
from answerable.flows.simulate_policy import begins_at, in_turns

if TYPE_CHECKING:
    from answerable.core.containment.happening import Happening
    from answerable.core.containment.hold import Holdable
    from answerable.core.registry.stop_rule import StopRule
    from answerable.flows.walk import Walk

SECONDS_MAX: Final = 20
FIRINGS_MAX: Final = 1_000


@dataclass(slots=True, kw_only=True)
class Firing:
    """One hold that there would have been. index, at: of the entry by which it was too much. stopped: actions that were
    done under it nevertheless, as it was not there."""

    index: int
    at: int
    owner: str
    value: int
    what: Holdable
    stopped: int = 0


@dataclass(slots=True, kw_only=True)
class RuleTrial:
    """start, end: first index that was read, and the first that was not. size: of the ledger then. unlisted: firings
    past FIRINGS_MAX."""

    start: int
    end: int
    size: int
    firings: list[Firing] = field(default_factory=list)
    unlisted: int = 0


async def simulate_rule(walk: Walk, name: str, *, since: int = 0) -> RuleTrial:
    """For at most SECONDS_MAX of reading. since: Unix milliseconds; what happened within the window before is counted.

    Raises Malformed (`stop_rule.unknown`), and Refused (`stop_rule.not_simulated`) for what no entry tells.
    """
    rule = walk.registry.current.stop_rules.get(name)
    if rule is None:
        raise Malformed(
            f"there is no stop rule {shown(name)}: apply it with `dryRun: true`", code="stop_rule.unknown"
        )
    tracker = tracker_of(rule)
    if tracker is None:
        raise Refused(
            f"what `{rule.watches}` watches is not in entries: apply the rule with `dryRun: true` and look at what it "
            "says",
            code="stop_rule.not_simulated",
        )
    trial = _Trial(rule, History([tracker]), since)
    reader = RuleReader(walk, trial.history, [rule])
    first = begins_at(walk, max(0, since - tracker.within_seconds * 1000))
    found = RuleTrial(start=first, end=first, size=walk.ledger.size)
    async for stored in in_turns(walk, first, walk.clock.monotonic() + SECONDS_MAX):
        happening = reader.told(stored)
        if happening is not None:
            trial.saw(happening, stored.index)
        found.end = stored.index + 1
    found.firings, found.unlisted = trial.firings, trial.unlisted
    return found


class _Trial:
    """One rule over what happened, in its order."""

    def __init__(self, rule: StopRule, history: History, since: int) -> None:
        self._rule, self.history, self._since = rule, history, since
        self._counter = history.counters[0]
        self._held: dict[Holdable, Firing] = {}
        self._passed: dict[tuple[str, tuple[str, ...]], tuple[int, Happening, int]] = {}
        self.firings: list[Firing] = []
        self.unlisted = 0

    def saw(self, happening: Happening, index: int) -> None:
        """Count it, and what would have been held for it."""
        self._after_grace(happening.at)
        held = self._holding(happening)
        if held is not None:
            held.stopped += happening.kind == "started"
            return
        events = events_of(self._rule, happening)
        for event in events:
            self.history.happened(event)
        if not events or happening.at < self._since:
            return
        keys = keys_of(self._rule, happening)
        for owner in owners_of(self._rule, happening):
            value = self._value(owner, keys, happening.at)
            if value <= self._rule.limit:
                self._passed.pop((owner, keys), None)
            elif self._rule.grace_seconds:
                self._passed.setdefault((owner, keys), (happening.at, happening, index))
            else:
                self._fire(owner, keys, value, happening, index, happening.at)

    def _after_grace(self, now: int) -> None:
        for (owner, keys), (since, happening, index) in list(self._passed.items()):
            due = since + self._rule.grace_seconds * 1000
            if now < due:
                continue
            del self._passed[owner, keys]
            value = self._value(owner, keys, due)
            if value > self._rule.limit:
                self._fire(owner, keys, value, happening, index, due)

    def _fire(
        self, owner: str, keys: tuple[str, ...], value: int, happening: Happening, index: int, at: int
    ) -> None:
        what = holdable_of(self._rule, happening, owner)
        firing = Firing(index=index, at=at, owner=owner, value=value, what=what)
        self._held[what] = firing
        self.history.forget(self._rule.name, owner, keys)
        if len(self.firings) < FIRINGS_MAX:
            self.firings.append(firing)
        else:
            self.unlisted += 1

    def _value(self, owner: str, keys: tuple[str, ...], now: int) -> int:
        values = [self._counter.value(owner, "", key, now) for key in keys]
        return sum(one if isinstance(one, int) else RESOURCES_MAX + self._rule.limit for one in values)

    def _holding(self, happening: Happening) -> Firing | None:
        """What would have stood still of it."""
        under = (
            *(("agent", one) for one in happening.agents),
            *(("instance", one) for one in happening.instances),
            ("mandate", happening.mandate),
            ("server", happening.server),
            ("tool", f"{happening.server}/{happening.tool}" if happening.tool else ""),
            ("capability", happening.capability),
        )
        lasts = self._rule.expires_seconds * 1000
        for what, firing in self._held.items():
            if tuple(what) in under and (not lasts or happening.at < firing.at + lasts):
                return firing
        return None
