"""Compute how people decide approvals: figures by approver, rule and group, and whether asking had any effect.

Laws: a share of too few answers or tests is no data and never a pass; each figure states its total and the entries it
is made of; a test appears only in the figures about tests.

The check of an approver or a rule is AP-04 of our catalogue: `fail` where too few tests were caught, `warn` where
almost everything is approved faster than anybody can read, `no_data` where there are too few answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.ledger.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.ledger.oversight import Oversight, Question

Verdict = Literal["ok", "warn", "fail", "no_data"]
FAST_MS: Final = 3_000
HOUR_MS: Final = 3_600_000
ANSWERS_MIN: Final = 20
"""Fewer answers do not show a habit."""
TESTS_MIN: Final = 5
APPROVED_PERCENT_WARN: Final = 95
CAUGHT_PERCENT_MIN: Final = 80
REMOVABLE_MIN: Final = 20
"""A rule is reported as possibly unnecessary after this many decided approvals, all approved."""
ENTRIES_MAX: Final = 100
"""Newest entries listed with a figure."""
KEYS_MAX: Final = 1_000
"""Rules, groups or people counted separately; the rest is counted as one."""
OTHERS: Final = "(others)"


@dataclass(slots=True, kw_only=True)
class Decided:
    """Decisions of one person, or on the approvals of one rule or group. Counts; times in ms.

    answered: approved and denied. times: from request to answer. looks: from when the first to answer had opened the
    approval, where known. fast, fast_looks: less than FAST_MS. views: from request to when the first of those who
    answered opened the approval, where known. busiest_hour: most in one clock hour. asked: approvals; waiting and
    unanswered: those without a decision that can still be answered, or not any more. failed: approved actions that
    failed or whose end is unknown. tests: answered ones (of a rule or group: ended ones); caught: those denied. holds:
    placed afterwards on an agent or capability that it asked about. glass: actions run by emergency access without
    approval. void: approvals that are requested anew because the action had changed. entries: the newest entries of the
    figure.
    """

    answered: int = 0
    approved: int = 0
    denied: int = 0
    fast: int = 0
    fast_looks: int = 0
    busiest_hour: int = 0
    asked: int = 0
    waiting: int = 0
    unanswered: int = 0
    failed: int = 0
    tests: int = 0
    caught: int = 0
    holds: int = 0
    glass: int = 0
    void: int = 0
    times: Spread = field(default_factory=Spread)
    looks: Spread = field(default_factory=Spread)
    views: Spread = field(default_factory=Spread)
    entries: list[int] = field(default_factory=list)
    _hours: dict[int, int] = field(default_factory=dict)

    def decided(
        self, entry: int, *, at: int, took_ms: int, approves: bool, looked_ms: int | None = None
    ) -> None:
        """Count one more answer or decision."""
        self.answered += 1
        self.approved += approves
        self.denied += not approves
        self.fast += took_ms < FAST_MS
        self.times.add(took_ms)
        if looked_ms is not None:
            self.looks.add(looked_ms)
            self.fast_looks += looked_ms < FAST_MS
        hour = at // HOUR_MS
        self._hours[hour] = self._hours.get(hour, 0) + 1
        self.busiest_hour = max(self.busiest_hour, self._hours[hour])
        self.made_of(entry)

    def tested(self, entry: int, *, caught: bool) -> None:
        """Count one more test."""
        self.tests += 1
        self.caught += caught
        self.made_of(entry)

    def made_of(self, entry: int) -> None:
        """Add one more entry to the figure."""
        self.entries.append(entry)
        del self.entries[:-ENTRIES_MAX]

    @property
    def verdict(self) -> Verdict:
        """The result of check AP-04."""
        tested, counted = self.tests >= TESTS_MIN, self.answered >= ANSWERS_MIN
        if tested and self.caught * 100 < self.tests * CAUGHT_PERCENT_MIN:
            return "fail"
        almost_all = self.approved * 100 > self.answered * APPROVED_PERCENT_WARN
        if counted and almost_all and self._too_fast:
            return "warn"
        return "ok" if tested and counted else "no_data"

    @property
    def _too_fast(self) -> bool:
        """Whether a tenth of the answers came faster than anybody reads, measured from the request or from the known
        opening."""
        spreads = [self.times, *([self.looks] if self.looks.count >= ANSWERS_MIN else [])]
        return any(p10 < FAST_MS for one in spreads if (p10 := one.at(10)) is not None)

    @property
    def may_go(self) -> bool:
        """Whether a rule may be removed: every approval it required was given, and none had a bad effect."""
        harmless = not (self.denied or self.unanswered or self.failed or self.holds or self.glass)
        return harmless and self.approved >= REMOVABLE_MIN and self.caught == self.tests


@dataclass(slots=True, kw_only=True)
class OversightFigures:
    """The figures about how people decide. approvers: by pseudonym. tests, caught, unseen: over all tests that were
    revealed. views: as in `Decided`, over all approvals except tests. spoken: index of an answer of each approver, in
    which their name is sealed."""

    approvers: dict[str, Decided] = field(default_factory=dict)
    rules: dict[str, Decided] = field(default_factory=dict)
    groups: dict[str, Decided] = field(default_factory=dict)
    tests: int = 0
    caught: int = 0
    unseen: int = 0
    views: Spread = field(default_factory=Spread)
    spoken: dict[str, int] = field(default_factory=dict)


def oversight_figures(read: Oversight, *, since: int, now: int) -> OversightFigures:
    """Compute the figures of the approvals requested since a time. Unix milliseconds."""
    found = OversightFigures()
    held: dict[str, int] = {}
    for one in read.holds:
        held[one.name] = max(held.get(one.name, 0), one.at)
    for _, asked in read.questions(since):
        for said in asked.said:
            found.spoken[said.person] = said.entry
        by_rule = [_at(found.rules, name) for name in dict.fromkeys(asked.rules)]
        by_group = [_at(found.groups, name) for name in dict.fromkeys(asked.groups)]
        if asked.test:
            _count_test(found, asked, [*by_rule, *by_group])
            continue
        for said in asked.said:
            took = max(0, said.at - asked.at)
            _at(found.approvers, said.person).decided(
                said.entry, at=said.at, took_ms=took, approves=said.approves, looked_ms=said.looked_ms
            )
        if asked.viewed_ms is not None:
            for views in (found.views, *(cell.views for cell in (*by_rule, *by_group))):
                views.add(asked.viewed_ms)
        stopped = any(held.get(name, 0) >= asked.at for name in (asked.agent, asked.capability))
        for cell in (*by_rule, *by_group):
            _count(cell, asked, now=now, stopped=stopped)
    return found


def _count_test(found: OversightFigures, asked: Question, cells: Iterable[Decided]) -> None:
    found.tests += 1
    found.unseen += asked.test == "unseen"
    if asked.test == "unseen":
        return
    caught = asked.test == "caught"
    found.caught += caught
    said = asked.said[0]
    _at(found.approvers, said.person).tested(said.entry, caught=caught)
    for cell in cells:
        cell.tested(said.entry, caught=caught)


def _count(cell: Decided, asked: Question, *, now: int, stopped: bool) -> None:
    cell.asked += 1
    cell.failed += asked.failed
    cell.glass += asked.glass
    cell.holds += stopped
    if asked.state != "pending":
        cell.decided(
            asked.entry,
            at=asked.decided_at,
            took_ms=asked.wait_ms,
            approves=asked.state == "approved",
            looked_ms=asked.looked_ms,
        )
    elif asked.void:
        # People are asked again, which counts as another approval.
        cell.void += 1
    elif now < asked.expires:
        cell.waiting += 1
    else:
        cell.unanswered += 1
        cell.made_of(asked.entry)


def _at(cells: dict[str, Decided], name: str) -> Decided:
    if name not in cells and len(cells) >= KEYS_MAX:
        name = OTHERS
    return cells.setdefault(name, Decided())
