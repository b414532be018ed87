"""What a server's process for searches answers, by an index that is made for each question, of a log in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from answerable.api.log_answers import FollowedLog, LogsAnswer
from answerable.api.search_answers import SearchAnswer
from answerable.core.search.query import parsed_cursor, parsed_query
from answerable.flows.forensics.answer_questions import (
    answered_accounts,
    answered_incident,
    answered_incidents,
    answered_name,
    answered_scope,
    answered_story,
)
from answerable.flows.forensics.search_ledger import search_ledger
from answerable.flows.forensics.tell_hits import answer_of
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.flows.state.parts import Recorder
from answerable.ports.search_process import (
    ACCOUNTS,
    INCIDENT,
    INCIDENTS,
    NAME,
    SCOPE,
    SEARCH,
    STORY,
    TRACE,
    A,
    LogsTold,
    Q,
    Question,
    QuestionKind,
    TraceAnswer,
    TraceQuestion,
)
from answerable.wiring.whole_answers import WHOLE
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
    """Answers at once, of the whole log."""

    recorder: Recorder

    async def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        now = self.recorder.clock.now()
        with teller_of(self.recorder) as teller:
            answers: dict[QuestionKind[Any, Any], Callable[[Any], Any]] = {
                SEARCH: partial(_page, teller, now=now),
                STORY: partial(answered_story, teller, now=now),
                NAME: partial(answered_name, teller),
                SCOPE: partial(answered_scope, teller, now=now),
                ACCOUNTS: partial(answered_accounts, teller),
                INCIDENTS: partial(answered_incidents, teller),
                INCIDENT: partial(answered_incident, teller),
                **{whole: partial(answer, teller) for whole, answer in WHOLE.items()},
            }
            answer: A = answers[kind](question)
            return answer

    async def logs(self, *, findings: int = 0) -> LogsTold:
        told = LogsAnswer(items=self.told_of_logs(), entries=self.recorder.ledger.size, waiting=findings)
        return LogsTold(logs=told, findings=(), accounts=())

    def told_of_logs(self) -> tuple[FollowedLog, ...]:
        return (SILENT,)

    async def trace(self, ends: Sequence[int]) -> TraceAnswer:
        return await self.ask(TRACE, TraceQuestion(ends=tuple(ends)))

    async def told(self) -> tuple[str, int, str]:
        return "ok", self.recorder.ledger.size, ""


def _page(teller: StoryTeller, question: Question, *, now: int) -> SearchAnswer:
    query = parsed_query(question.words, now=now)
    after = parsed_cursor(question.cursor) if question.cursor else None
    page = search_ledger(teller.index, teller.log, teller.find, query, limit=question.limit, after=after)
    return answer_of(page)
