"""Attribute every line of a target's log, count the answers, and find what the log does not say.

Promise: memory is bounded by the steps of the record and by what is kept of lines that need a person; lines that have
nothing to do with governed accounts are counted, and nothing of them is kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import structs

from answerable.core.attribution.answer import ODD, Attributed
from answerable.core.attribution.attribute_line import ANY, attribute_line
from answerable.core.attribution.log_line import TIME_MAX_MS, UnreadLine
from answerable.core.attribution.phantom import Unseen, unseen
from answerable.core.attribution.step import SKEW_MS
from answerable.flows.forensics.compare_content import ContentSeen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from answerable.core.attribution.answer import Answer
    from answerable.core.attribution.log_line import LogLine, Whose
    from answerable.core.attribution.seen_account import AccountsSeen
    from answerable.core.attribution.step import Step
    from answerable.core.attribution.step_index import StepIndex

KEPT_MAX: Final = 10_000
"""Lines that need a person which are kept; all others are counted."""

UNREAD_NUMBERS: Final = 5
"""Lines that could not be read, of one file and for one reason, whose numbers are kept."""


@dataclass(slots=True, kw_only=True)
class ReadFile:
    """How far one file of the log goes. first, last: Unix milliseconds, 0 where no line has a time. unread: numbers of
    lines by why they could not be read. first_unread: the first of them. others: lines that have nothing to do with
    governed accounts."""

    name: str
    lines: int = 0
    others: int = 0
    first: int = 0
    last: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    first_unread: dict[str, list[int]] = field(default_factory=dict)

    @property
    def is_untimed(self) -> bool:
        """Whether there are lines, and no time of one is understood: nothing is said of what is not there."""
        return self.lines > 0 and not self.first

    def note(self, at: int) -> None:
        if at:
            self.first = min(self.first or at, at)
            self.last = max(self.last, at)


@dataclass(slots=True, kw_only=True)
class Attribution:
    """What is known of a log so far. counts: by verdict and grade. steps: lines by the entry of the step. kept: lines
    that need a person, with the file's name; dropped: how many more there were. content: what was compared of it."""

    files: list[ReadFile] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    steps: Counter[int] = field(default_factory=Counter)
    kept: list[tuple[str, Attributed]] = field(default_factory=list)
    dropped: int = 0
    content: ContentSeen = field(default_factory=ContentSeen)
    seen: set[str] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)

    @property
    def ambiguous(self) -> int:
        """How many lines a client's text made ambiguous."""
        return sum(one.unread["ambiguous"] for one in self.files)

    @property
    def broken(self) -> int:
        """How many lines are not of the log's form."""
        return sum(one.unread["broken"] for one in self.files)

    @property
    def odd(self) -> int:
        """How many lines somebody must look at at once."""
        return self.ambiguous + sum(count for (verdict, _), count in self.counts.items() if verdict in ODD)

    def take(self, name: str, line: LogLine, answer: Answer) -> None:
        """Count one answer, and keep it where it needs a person."""
        self.counts[answer.verdict, answer.grade] += 1
        step = answer.step
        if step is not None:
            self.steps[step.entry] += 1
            self.seen.add(step.action)
            self.targets.add(step.target)
        if answer.verdict == "ours":
            return
        self.seen.update(one.action for one in answer.candidates)
        if len(self.kept) < KEPT_MAX:
            # Its content was compared, and is nobody's to read.
            bare = structs.replace(line, content=()) if line.content else line
            self.kept.append((name, Attributed(bare, answer)))
        else:
            self.dropped += 1

    def unsaid(self, steps: StepIndex) -> tuple[Step, ...]:
        """Return the steps whose recorded statement is not among all of theirs, in a log that begins before them."""
        begins = [one.first + SKEW_MS for one in self.files if one.first]
        return tuple(
            one for one in self.content.unsaid(steps) if any(begin <= one.started for begin in begins)
        )

    def unseen(self, steps: StepIndex, targets: Collection[str]) -> Unseen:
        """Return the steps of which the log does not say anything. targets: whose log it is; empty for those of the
        steps that it has lines of."""
        covered = [(one.first, one.last) for one in self.files if one.first]
        return unseen(steps, targets=targets or self.targets, seen=self.seen, covered=covered)


def attribute_file(
    into: Attribution,
    name: str,
    lines: Iterable[LogLine | UnreadLine],
    steps: StepIndex,
    governed: frozenset[str],
    each: Callable[[LogLine, Answer], None] | None = None,
    whose: Whose = ANY,
    accounts: AccountsSeen | None = None,
) -> ReadFile:
    """Attribute the lines of one file. governed, whose: as in `attribute_line`. each: called with every answer, as it
    is found. accounts: collects those of all lines. A line of a time after the year 9999 is broken. Raises whatever
    `lines` and `each` raise; what was counted before stays."""
    file = ReadFile(name=name)
    into.files.append(file)
    for line in lines:
        file.lines += 1
        if not isinstance(line, UnreadLine) and line.at > TIME_MAX_MS:
            line = UnreadLine(line.number, "broken")
        if isinstance(line, UnreadLine):
            file.unread[line.why] += 1
            if file.unread[line.why] <= UNREAD_NUMBERS:
                file.first_unread.setdefault(line.why, []).append(line.number)
            continue
        file.note(line.at)
        answer = attribute_line(line, steps, governed, whose)
        if answer is not None:
            answer = into.content.take(line, answer)
        if accounts is not None:
            accounts.note(line, answer)
        if answer is None:
            file.others += 1
            continue
        into.take(name, line, answer)
        if each is not None:
            each(line, answer)
    return file


def told_steps(found: Attribution, steps: Iterable[Step]) -> list[tuple[Step, int]]:
    """Return the steps that have lines, and how many, in the order of the ledger."""
    return [(one, found.steps[one.entry]) for one in steps if found.steps[one.entry]]
