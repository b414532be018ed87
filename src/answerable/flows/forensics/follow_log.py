"""Follow a target's log: judge each line once the record is complete around it, and find what it shows against us.

Laws: a line is judged when no step that may explain it is still to be recorded or still under way; the mark moves over
judged lines only; findings and mark are stored together.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from msgspec import structs

from answerable.core.attribution.answer import ODD
from answerable.core.attribution.attribute_line import attribute_line
from answerable.core.attribution.content import statement_differs
from answerable.core.attribution.finding import content_of, finding_of, phantom_of
from answerable.core.attribution.followed import SEEN_MAX, TELL_EACH
from answerable.core.attribution.log_line import SESSION_KINDS, TIME_MAX_MS, UnreadLine, Whose
from answerable.core.attribution.step import SKEW_MS
from answerable.core.lease.name import lease_of
from answerable.flows.forensics.compare_content import compared_line, nothing_recorded
from answerable.ports.followed_log import LogChunk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.attribution.answer import Answer
    from answerable.core.attribution.finding import Finding
    from answerable.core.attribution.followed import Followed, LogStanding, TargetStanding
    from answerable.core.attribution.log_line import LogLine
    from answerable.core.attribution.seen_account import AccountsSeen
    from answerable.core.attribution.step import Step
    from answerable.core.attribution.step_index import StepIndex
    from answerable.flows.forensics.compare_content import RecordOf
    from answerable.ports.followed_log import LogRecord, LogSource, Trouble

    Keep = Callable[[Finding], bool]
    """Returns whether the finding is recorded, now or before."""

AHEAD_MS_MAX: Final = 60_000
"""A line that is further ahead of our clock is judged as one without a time, and says nothing of how far its log has
come. Both wait until the record has come as far as when they were read."""
OPEN_MS_MAX: Final = 600_000
"""How long after its deadline a step without an end is waited for."""


class LogFollower:
    """Follows one log. standing: is changed as it is read. accounts: collects those of judged lines; None for none.
    trouble: why the log cannot be read; empty where it can. ahead_ms: how far ahead of our clock its last line was; 0
    where it was not."""

    def __init__(
        self,
        followed: Followed,
        source: LogSource,
        standing: LogStanding,
        targets: dict[str, TargetStanding],
        record_of: RecordOf = nothing_recorded,
        accounts: AccountsSeen | None = None,
    ) -> None:
        self.followed, self.standing, self.accounts = followed, standing, accounts
        self.trouble: Trouble = ""
        self.ahead_ms = self._read_at = 0
        self._source, self._targets, self._record_of = source, targets, record_of
        self._chunk = LogChunk()
        self._records: deque[LogRecord] = deque()
        self._whose = Whose(SESSION_KINDS.get(followed.kind, ""), frozenset(followed.targets))

    @property
    def waits_from(self) -> int:
        """Time of the first line that is read and not judged, and of one without, when it was read; Unix milliseconds,
        0 for none."""
        line = self._records[0].line if self._records else None
        return 0 if line is None or isinstance(line, UnreadLine) else line.at or self._read_at

    def look(self, steps: StepIndex, *, now: int, keep: Keep) -> bool:
        """Read on, and judge what can be judged. Return whether there is more at once."""
        if not self._records:
            self._chunk, self._read_at = self._source.read_on(now=now), now
            self.trouble = self._chunk.trouble
            self._records.extend(self._chunk.records)
            if self._chunk.is_gap:
                self.standing.gaps += 1
                self.standing.first = 0
            self.standing.is_misread |= self._chunk.misread > 0
        judged: LogRecord | None = None
        while self._records and self._judged(self._records[0], steps, now, keep):
            judged = self._records.popleft()
        if judged is not None:
            self.standing.mark = self._chunk.mark_after(judged)
        return not self._records and not self._chunk.is_end

    def close(self) -> None:
        self._source.close()

    def _judged(self, record: LogRecord, steps: StepIndex, now: int, keep: Keep) -> bool:
        """Judge one record. Return False where it must wait."""
        line = record.line
        if line is None:
            return True
        if isinstance(line, UnreadLine) or line.at > TIME_MAX_MS:
            self.standing.count(line.why if isinstance(line, UnreadLine) else "broken")
            return True
        ahead_ms, told, standing = line.at - self._read_at, line, self.standing
        is_ahead = ahead_ms > AHEAD_MS_MAX
        if (is_ahead or not line.at) and steps.complete_until < self._read_at:
            return False
        if is_ahead:
            line, told = structs.replace(line, at=0), structs.replace(line, at=self._read_at)
        if not self._judged_as(record, line, told, steps, keep):
            return False
        if is_ahead:
            self.ahead_ms = ahead_ms
            standing.count("ahead")
        elif not line.at:
            standing.heard = self._read_at
            standing.count("untimed")
        else:
            self.ahead_ms = 0
            standing.is_misread = self._chunk.misread > 0
            standing.first = standing.first or line.at
            standing.last = max(standing.last, min(line.at, now))
        return True

    def _judged_as(
        self, record: LogRecord, line: LogLine, told: LogLine, steps: StepIndex, keep: Keep
    ) -> bool:
        """Judge a line. told: as findings have it. Return False where it must wait."""
        is_early = 0 < line.at < steps.known_from
        answer = None if is_early else attribute_line(line, steps, self.followed.accounts, self._whose)
        if answer is not None and _waits(answer, steps):
            return False
        if answer is None:
            self.standing.count("early" if is_early else "others")
        else:
            answer = self._compared(line, answer)
            self._take(record, told, answer, steps, keep)
        if self.accounts is not None:
            self.accounts.note(told, answer)
        return True

    def _take(self, record: LogRecord, line: LogLine, answer: Answer, steps: StepIndex, keep: Keep) -> None:
        standing = self.standing
        standing.count(answer.verdict)
        for step in (answer.step, *answer.candidates):
            if step is not None:
                self._see(step)
        if answer.step is not None and answer.step.target in self._targets:
            standing.ours[answer.step.target] = True
        governed = self._is_governed(line, steps)
        if governed:
            standing.use(line.account or line.login, line.at)
        if answer.verdict not in ODD:
            return
        kind, digest = self.followed.kind, self._chunk.digest(record)
        if answer.verdict == "content" and answer.step is not None:
            found = content_of(
                answer.step, answer.differs, kind=kind, grade=answer.grade, at=line.at, digest=digest
            )
        else:
            target = answer.step.target if answer.step is not None else self.followed.targets[0]
            found = finding_of(
                line, answer, steps, target=target, kind=kind, digest=digest, governed=governed
            )
        if not keep(found):
            standing.count("unrecorded")

    def _compared(self, line: LogLine, answer: Answer) -> Answer:
        """Compare what the line says of its step, where it is proved, with what is recorded."""
        if not line.content or answer.step is None:
            return answer
        answer, found = compared_line(line, answer, self._record_of)
        step = answer.step
        target = self._targets.get(step.target) if step is not None else None
        if step is not None and target is not None and found.statements and step.entry > target.decided:
            known = target.statements
            if step.action in known or len(known) < SEEN_MAX:
                known[step.action] = known.get(step.action, 0) | found.statements
        if found.same or found.differs or found.statements:
            self.standing.count("compared")
        if found.lacking:
            self.standing.count("uncompared")
        return answer

    def _see(self, step: Step) -> None:
        target = self._targets.get(step.target)
        if target is not None and step.entry > target.decided:
            target.seen[step.action] = True

    def _is_governed(self, line: LogLine, steps: StepIndex) -> bool:
        accounts = self.followed.accounts
        return (
            lease_of(line.account) is not None
            or line.account in accounts
            or (bool(line.login) and line.login in accounts)
            or bool(steps.by_account(line.account))
        )


def find_phantoms(
    target: str,
    logs: Sequence[LogFollower],
    standing: TargetStanding,
    steps: StepIndex,
    keep: Keep,
) -> None:
    """Decide, of each step at a target in the order of the ledger, whether its logs say anything of it. logs: all that
    are followed of this target."""
    if any(one.followed.kind not in TELL_EACH or not one.standing.first for one in logs):
        return
    first, last = max(one.standing.first for one in logs), min(one.standing.last for one in logs)
    for step in steps.at_target(target, after=standing.decided):
        if step.until + SKEW_MS > last or _is_open(step, steps):
            return
        was_seen = standing.seen.pop(step.action, False)
        is_covered = step.status == "succeeded" and step.started >= first + SKEW_MS
        if statement_differs(standing.statements.pop(step.action, 0)) and is_covered:
            logs[0].standing.count("content")
            if not keep(content_of(step, ("statement",), kind=logs[0].followed.kind)):
                logs[0].standing.count("unrecorded")
        if not was_seen and is_covered:
            logs[0].standing.count("phantom")
            if not keep(phantom_of(step, kind=logs[0].followed.kind)):
                logs[0].standing.count("unrecorded")
        standing.decided = step.entry


def _waits(answer: Answer, steps: StepIndex) -> bool:
    """Whether more of the record may still change the answer."""
    possible = (answer.step, *answer.candidates)
    return answer.verdict == "later" or any(one is not None and _is_open(one, steps) for one in possible)


def _is_open(step: Step, steps: StepIndex) -> bool:
    """Whether the end of the step may still be recorded."""
    return not step.ended and steps.complete_until < step.deadline + OPEN_MS_MAX
