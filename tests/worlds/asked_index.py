"""What a server's process for searches answers, by an index that is made for each question, of a log in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from answerable.api.incident_answers import IncidentAnswer, IncidentsAnswer
from answerable.api.log_answers import FollowedLog, LogsAnswer
from answerable.api.search_answers import AccountsAnswer, NameAnswer, ScopeAnswer, SearchAnswer, StoryAnswer
from answerable.core.search.query import parsed_cursor, parsed_query
from answerable.flows.forensics.answer_questions import (
    answered_accounts,
    answered_incident,
    answered_incidents,
    answered_name,
    answered_scope,
    answered_story,
    answered_trace,
    answered_under,
)
from answerable.flows.forensics.search_ledger import search_ledger
from answerable.flows.forensics.tell_hits import answer_of
from answerable.flows.forensics.tell_tree import tell_tree
from answerable.flows.state.parts import Recorder
from answerable.ports.search_process import (
    LogsTold,
    TraceAnswer,
    TraceQuestion,
    TreeAnswer,
    UnderAnswer,
    UnderQuestion,
)
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

    async def search(self, words: Sequence[str], *, limit: int, cursor: str) -> SearchAnswer:
        query, after = parsed_query(words, now=self._now()), parsed_cursor(cursor) if cursor else None
        with teller_of(self.recorder) as teller:
            return answer_of(
                search_ledger(teller.index, teller.log, teller.find, query, limit=limit, after=after)
            )

    async def story(self, words: Sequence[str], *, limit: int) -> StoryAnswer:
        with teller_of(self.recorder) as teller:
            return answered_story(teller, words, now=self._now(), limit=limit)

    async def name(self, name: str) -> NameAnswer:
        with teller_of(self.recorder) as teller:
            return answered_name(teller, name)

    async def scope(self, words: Sequence[str], *, rows: int) -> ScopeAnswer:
        with teller_of(self.recorder) as teller:
            return answered_scope(teller, words, now=self._now(), rows=rows)

    async def accounts(self, target: str) -> AccountsAnswer:
        with teller_of(self.recorder) as teller:
            return answered_accounts(teller, target)

    async def logs(self, *, findings: int = 0) -> LogsTold:
        told = LogsAnswer(items=self.told_of_logs(), entries=self.recorder.ledger.size, waiting=findings)
        return LogsTold(logs=told, findings=(), accounts=())

    def told_of_logs(self) -> tuple[FollowedLog, ...]:
        return (SILENT,)

    async def under(self, *, manifest: str, prompt: str, model: str, limit: int, cursor: str) -> UnderAnswer:
        question = UnderQuestion(
            manifest=manifest, prompt=prompt, model=model, limit=limit, cursor=cursor, entries=0
        )
        with teller_of(self.recorder) as teller:
            return answered_under(teller, question)

    async def tree(self, mandate: str) -> TreeAnswer:
        with teller_of(self.recorder) as teller:
            return tell_tree(teller, mandate)

    async def trace(self, ends: Sequence[int]) -> TraceAnswer:
        question = TraceQuestion(ends=tuple(ends), entries=0)
        with teller_of(self.recorder) as teller:
            return answered_trace(teller, question, monotonic=self.recorder.clock.monotonic)

    async def incidents(self) -> IncidentsAnswer:
        with teller_of(self.recorder) as teller:
            return answered_incidents(teller)

    async def incident(self, name: str) -> IncidentAnswer:
        with teller_of(self.recorder) as teller:
            return answered_incident(teller, name)

    async def told(self) -> tuple[str, int, str]:
        return "ok", self.recorder.ledger.size, ""

    def _now(self) -> int:
        return self.recorder.clock.now()
