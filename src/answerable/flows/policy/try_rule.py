"""Try a stop rule on the recorded actions, in the process that answers searches: find the holds it would have placed.

Actions that a simulated hold would have stopped no longer count towards the limit. Those that were done are reported as
the price of the hold, so that a rule that stops wanted work is found before it is in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.action.quota import RefusalQuota
from answerable.core.approval.approval import Approval, ApprovalId
from answerable.core.canonical import freeze
from answerable.core.containment.stop_rule_signal import holdable_of
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.mandate import MandateId
from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.snapshot.resolve import CapabilityIndex
from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
from answerable.flows.counters.rule_numbers import number_of
from answerable.flows.forensics.timed_reading import read_within
from answerable.ports.rule_trial import Lacked, RuleFiring, RuleTold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.containment.hold import HoldId, HoldTarget
    from answerable.core.containment.stop_rule_signal import StopRuleSignal
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.registry.documents.stop_rule import StopRule
    from answerable.flows.counters.rule_numbers import Place, RuleNumber
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.rule_trial import ApprovalTold, CapabilityTold, RegistersTold, RuleQuestion
    from answerable.ports.stored_log import LogSnapshot

SECONDS_MAX: Final = 6.5
"""Of reading for one answer, while other questions about this log wait."""
FIRINGS_MAX: Final = 1_000


def try_rule(teller: StoryTeller, question: RuleQuestion, *, monotonic: Callable[[], float]) -> RuleTold:
    """Try the rule for at most `SECONDS_MAX` seconds. monotonic: returns seconds. Raises Unavailable, and Broken as the
    log does."""
    registers = _Registers(question.capabilities, question.told)
    quota = RefusalQuota(recorded_max=question.refusals_max, window_ms=question.refusals_ms)
    log = _Log(teller.log, _Keys(teller.find))
    number = number_of(log, registers, question.rule, question.tracker, quota)
    trial, size = _Trial(question.rule, number, question.since), teller.log.size
    end, stop = question.start, size if question.stop is None else min(size, question.stop)
    for stored in read_within(teller.log, question.start, stop, seconds=SECONDS_MAX, monotonic=monotonic):
        for stop_rule_signal in number.told(stored):
            trial.saw(stop_rule_signal, stored)
        end = stored.index + 1
    return RuleTold(
        end=end,
        size=size,
        firings=tuple(one.told() for one in trial.firings),
        unlisted=trial.unlisted,
        unknown=trial.unknown,
        lacked=registers.lacked(),
    )


@dataclass(frozen=True, slots=True)
class _Keys:
    find: FindKey


@dataclass(frozen=True, slots=True)
class _Log:
    """Implements flows.counters.read_parts.ReadLog."""

    ledger: LogSnapshot
    subject_keys: _Keys


@dataclass(frozen=True, slots=True)
class _Given:
    agent: AgentId


class _Documents:
    """The capabilities that were told. Implements flows.counters.read_parts.ReadDocuments."""

    def __init__(self, told: Sequence[CapabilityTold]) -> None:
        active = {one.name: _capability(one) for one in told if not one.idle}
        idle = {one.name: _capability(one) for one in told if one.idle}
        self.current = RegistrySnapshot(digest="", capabilities=active, idle=idle)
        self.index = CapabilityIndex(active.values())


class _Approvals:
    def __init__(self, told: Sequence[ApprovalTold]) -> None:
        self._told, self.lacked = {one.id: _approval(one) for one in told}, dict[str, None]()

    def find(self, approval: ApprovalId) -> Approval | None:
        if approval not in self._told:
            self.lacked[approval] = None
        return self._told.get(approval)


class _Mandates:
    def __init__(self, told: dict[str, str]) -> None:
        self._told, self.lacked = told, dict[str, None]()

    def find(self, mandate: MandateId) -> _Given | None:
        if mandate not in self._told:
            self.lacked[mandate] = None
            return None
        return _Given(AgentId(self._told[mandate]))


class _Holds:
    def __init__(self, told: Sequence[str]) -> None:
        self._told, self.lacked = frozenset(told), dict[str, None]()

    def get(self, hold: HoldId) -> object | None:
        if hold not in self._told:
            self.lacked[hold] = None
            return None
        return hold


class _Registers:
    """What was told of registers, and what was asked of them beside that. Implements
    flows.counters.read_parts.ReadRegisters."""

    def __init__(self, capabilities: Sequence[CapabilityTold], told: RegistersTold) -> None:
        self.registry = _Documents(capabilities)
        self.approvals = _Approvals(told.approvals)
        self.mandates = _Mandates(told.mandates)
        self.holds = _Holds(told.holds)

    def lacked(self) -> Lacked:
        """Return what was asked and not told."""
        return Lacked(
            approvals=tuple(self.approvals.lacked),
            mandates=tuple(self.mandates.lacked),
            holds=tuple(self.holds.lacked),
        )


def _capability(told: CapabilityTold) -> Capability:
    return Capability(
        name=told.name,
        server=told.server,
        method=told.method,
        target=told.target,
        kind=told.kind,
        environment=told.environment,
        tier=0,
        sensitivity=told.sensitivity,
        resource=told.resource,
        arguments=told.arguments,
    )


def _approval(told: ApprovalTold) -> Approval:
    return Approval(
        id=ApprovalId(told.id),
        agent=AgentId(told.agent),
        mandate=MandateId(told.mandate),
        principal=PrincipalId(""),
        capability=told.capability,
        action=freeze(told.action),
        requirements=(),
        reasons=(),
        created_at=UnixMillis(told.created_at),
        expires_at=UnixMillis(told.created_at),
    )


@dataclass(slots=True, kw_only=True)
class _Firing:
    """As `RuleFiring`, while it is counted what it would have stopped."""

    index: int
    at: int
    owner: str
    value: int
    what: HoldTarget
    stopped: int = 0

    def told(self) -> RuleFiring:
        return RuleFiring(
            index=self.index,
            at=self.at,
            owner=self.owner,
            value=self.value,
            what=self.what,
            stopped=self.stopped,
        )


class _Trial:
    """Evaluates one rule over signals in order."""

    def __init__(self, rule: StopRule, number: RuleNumber, since: int) -> None:
        self._rule, self._number, self._since = rule, number, since
        self._held: dict[HoldTarget, _Firing] = {}
        self._passed: dict[Place, tuple[int, StopRuleSignal, int]] = {}
        self.firings: list[_Firing] = []
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
        firing = _Firing(index=index, at=at, owner=place[0], value=value, what=what)
        self._held[what] = firing
        self._number.forget(place)
        if len(self.firings) < FIRINGS_MAX:
            self.firings.append(firing)
        else:
            self.unlisted += 1

    def _holding(self, stop_rule_signal: StopRuleSignal) -> _Firing | None:
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
