"""What a server's process for searches answers, by an index that is made for each question, of a log in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from answerable.api.log_answers import FollowedLog, LogsAnswer
from answerable.flows.state.parts import Recorder
from answerable.ports.search_process import (
    TRACE,
    A,
    LogsTold,
    Q,
    QuestionKind,
    TraceAnswer,
    TraceQuestion,
)
from answerable.wiring.answers import Beside, answer
from tests.worlds.stories import teller_of

SILENT = FollowedLog(
    targets=("crm",),
    kind="nginx",
    path="/var/log/nginx/answerable.log",
    state="silent",
    reason="no line since it is followed, while an action ran at crm",
    last_line_at=None,
    late_seconds=0,
    read_to=0,
    actions_since=1,
    gaps=0,
    lines={"others": 1},
)


@dataclass(frozen=True, slots=True)
class IndexAtHand:
    """Answers at once, of the whole log, what is asked and answered as on the socket."""

    recorder: Recorder

    async def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        beside = Beside(now=self.recorder.clock.now())
        with teller_of(self.recorder) as teller:
            found = answer(kind, teller, kind.read_question(msgspec.json.encode(question)), beside)
        return kind.read_answer(msgspec.json.encode(found))

    async def logs(self, *, findings: int = 0) -> LogsTold:
        told = LogsAnswer(items=self.told_of_logs(), entries=self.recorder.ledger.size, waiting=findings)
        return LogsTold(logs=told, findings=(), accounts=())

    def told_of_logs(self) -> tuple[FollowedLog, ...]:
        return (SILENT,)

    async def trace(self, ends: Sequence[int]) -> TraceAnswer:
        return await self.ask(TRACE, TraceQuestion(ends=tuple(ends)))

    async def told(self) -> tuple[str, int, str]:
        return "ok", self.recorder.ledger.size, ""
