"""Answer questions about a ledger that is kept in shards: each shard is asked for its own log, and the answers are
joined. A shard that gives no answer is named with the reason, and hides nothing of the others; where an answer may
leave nothing out, there is none without it.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from answerable.core.search.log_cursors import DONE, parsed_log_cursors
from answerable.core.search.names import ENTRY, entry_in_shard
from answerable.core.search.query import LIMIT_MAX, Cursor
from answerable.errors import AnswerableError, Malformed, shown
from answerable.errors.codes.mandate import MANDATE_OTHER_SHARD
from answerable.errors.codes.search import SEARCH_CURSOR, SEARCH_LOG
from answerable.ports.search_process import (
    ACCOUNTS,
    INCIDENT,
    INCIDENTS,
    MADE,
    NAME,
    OPENED,
    PART,
    POSSIBLE,
    SCOPE,
    SEARCH,
    STORY,
    TOTALS,
    TREE,
    UNDER,
    A,
    AskedOfOne,
    IncidentsQuestion,
    PartQuestion,
    Q,
    Question,
    TotalsQuestion,
    TreeQuestion,
    UnderQuestion,
)
from answerable.wiring.answers import OF_ONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.api.decision_answers import Possible
    from answerable.api.incident_answers import IncidentAnswer, IncidentsAnswer
    from answerable.api.search_answers import (
        AccountsAnswer,
        NameAnswer,
        ScopeAnswer,
        SearchAnswer,
        StoryAnswer,
    )
    from answerable.ports.search_process import (
        AccountsQuestion,
        Asked,
        IncidentQuestion,
        ManifestTold,
        NameQuestion,
        PossibleQuestion,
        QuestionKind,
        ScopeQuestion,
        StoryQuestion,
        TreeAnswer,
        UnderAnswer,
    )
    from answerable.wiring.log_index import LogIndex

_END: Final = Cursor(0, 0).formatted()
_LAST: Final = Cursor(10**16 - 1, 10**16 - 1).formatted()
"""After which no log has anything, newest first and oldest first."""
_MADE_BYTES_MAX: Final = 131_072
"""Of manifests that are told to other shards: a question is twice as long at most."""

_log: Final = logging.getLogger(__name__)


class JoinedIndex:
    """All shards of a ledger; implements `LogIndex`. Thread-safe where `own` is."""

    def __init__(self, own: LogIndex, shard: str, others: Callable[[], Mapping[str, LogIndex]]) -> None:
        """own: answers for the log of this shard; empty for a ledger of one log. others: returns what answers for the
        other shards that there are now, by name."""
        self._own, self._shard, self._others = own, shard, others

    def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        joins: Mapping[QuestionKind[Any, Any], Callable[[Any, Mapping[str, LogIndex]], Any]] = {
            SEARCH: self._search,
            STORY: self._story,
            NAME: self._name,
            SCOPE: self._scope,
            UNDER: self._under,
            TREE: self._tree,
            **{one: partial(self._of_one, one) for one in OF_ONE},
            ACCOUNTS: self._accounts,
            INCIDENTS: self._incidents,
            INCIDENT: self._incident,
            POSSIBLE: self._possible,
        }
        join = joins.get(kind)
        others = self._others() if join is not None and self._shard and question.within == "all" else {}
        if join is None or not (others or _names_shard(question)):
            return self._own.ask(kind, question)
        answer: A = join(question, others)
        return answer

    def _search(self, question: Question, others: Mapping[str, LogIndex]) -> SearchAnswer:
        from answerable.flows.forensics.join_pages import joined_search

        before = self._cursors(question.cursor)

        def of(shard: str) -> Question:
            cursor = _cursor(before, shard, _END)
            return replace(question, cursor=cursor, entries=self._entries(question, shard), within="log")

        answers, unread = self._all(SEARCH, _left(others, before), of)
        return joined_search(self._shard, answers, unread, before=before, limit=question.limit)

    def _story(self, question: StoryQuestion, others: Mapping[str, LogIndex]) -> StoryAnswer:
        from answerable.flows.forensics.join_answers import joined_story

        def of(shard: str) -> StoryQuestion:
            words = tuple(_of_shard(one, shard) for one in question.words)
            is_named = words != question.words or shard == self._shard
            entries = self._entries(question, shard)
            return replace(question, words=words, entries=entries, within="log" if is_named else "names")

        answers, unread = self._all(STORY, others, of)
        return joined_story(self._shard, answers, unread)

    def _name(self, question: NameQuestion, others: Mapping[str, LogIndex]) -> NameAnswer:
        from answerable.flows.forensics.join_answers import joined_name

        def of(shard: str) -> NameQuestion:
            name = _of_shard(question.name, shard)
            is_named = name != question.name or shard == self._shard
            entries = self._entries(question, shard)
            return replace(question, name=name, entries=entries, within="log" if is_named else "names")

        answers, unread = self._all(NAME, others, of)
        return joined_name(self._shard, answers, unread)

    def _scope(self, question: ScopeQuestion, others: Mapping[str, LogIndex]) -> ScopeAnswer:
        from answerable.flows.forensics.join_answers import joined_scope, names_lacking

        # The highest rows of all shards need not be among the highest of one.
        def of(shard: str) -> ScopeQuestion:
            return replace(question, rows=LIMIT_MAX, entries=self._entries(question, shard), within="log")

        answers, unread = self._all(SCOPE, others, of)
        # A shard tells no name with which nothing was outside, and yet has actions with it.
        lacking = names_lacking(answers, rows=question.rows)

        def totals_of(shard: str) -> TotalsQuestion:
            entries = self._entries(question, shard)
            return TotalsQuestion(words=question.words, names=lacking.get(shard, {}), entries=entries)

        left = {shard: others[shard] for shard in lacking if shard != self._shard}
        totals, lost = self._all(TOTALS, left, totals_of)
        told = {shard: one for shard, one in answers.items() if shard not in lost}
        return joined_scope(self._shard, told, unread | lost, totals, rows=question.rows)

    def _under(self, question: UnderQuestion, others: Mapping[str, LogIndex]) -> UnderAnswer:
        from answerable.flows.forensics.answer_questions import check_wanted
        from answerable.flows.forensics.join_pages import joined_under

        before = self._cursors(question.cursor)

        def asked(shard: str) -> UnderQuestion:
            return replace(question, cursor="", entries=self._entries(question, shard), within="log")

        made, _ = self._all(MADE, others, asked, whole=True)
        found = {one.digest: one for answer in made.values() for one in answer.manifests}
        known = _within(found.values())

        def of(shard: str) -> UnderQuestion:
            return replace(asked(shard), cursor=_cursor(before, shard, _LAST), named=tuple(found), made=known)

        answers, _ = self._all(UNDER, _left(others, before), of, whole=True)
        answer = joined_under(answers, before=before, limit=question.limit)
        unread = sum(one.unread for one in made.values())
        check_wanted(question, is_known=bool(found or answer.items or before), unread=unread)
        return answer

    def _tree(self, question: TreeQuestion, others: Mapping[str, LogIndex]) -> TreeAnswer:
        if not question.log:
            return self._own.ask(TREE, question)
        # What was done under a mandate is in one log alone: the one that it is for.
        shard = question.log.rpartition("/")[2]
        if shard not in others:
            raise MANDATE_OTHER_SHARD(
                f"mandate {shown(question.mandate)} is for log {shown(question.log)}, which is no shard here"
            )
        return others[shard].ask(TREE, replace(question, log="", entries=0, within="log"))

    def _of_one(self, kind: QuestionKind[Any, Any], question: Any, others: Mapping[str, LogIndex]) -> Any:
        """Ask the log that is named, and name those that there are beside this one."""
        if not question.log:
            return replace(self._own.ask(kind, question), others=tuple(others))
        if question.log not in others:
            raise SEARCH_LOG(f"there is no shard {shown(question.log)} beside this one")
        return others[question.log].ask(kind, replace(question, log="", entries=0, within="log"))

    def _accounts(self, question: AccountsQuestion, others: Mapping[str, LogIndex]) -> AccountsAnswer:
        from answerable.flows.forensics.join_accounts import joined_accounts

        def of(shard: str) -> AccountsQuestion:
            return replace(question, entries=self._entries(question, shard), within="log")

        answers, unread = self._all(ACCOUNTS, others, of)
        return joined_accounts(self._shard, answers, unread)

    def _incidents(self, question: IncidentsQuestion, others: Mapping[str, LogIndex]) -> IncidentsAnswer:
        from answerable.flows.forensics.join_pages import joined_incidents

        before = self._cursors(question.cursor)

        def of(shard: str) -> IncidentsQuestion:
            cursor = _cursor(before, shard, _END)
            return replace(question, cursor=cursor, entries=self._entries(question, shard), within="log")

        answers, unread = self._all(INCIDENTS, _left(others, before), of)
        return joined_incidents(self._shard, answers, unread, before=before, limit=question.limit)

    def _incident(self, question: IncidentQuestion, others: Mapping[str, LogIndex]) -> IncidentAnswer:
        from answerable.flows.forensics.answer_questions import one_incident
        from answerable.flows.forensics.join_answers import joined_story
        from answerable.flows.forensics.tell_incident import incident_answer

        def asked(shard: str) -> IncidentQuestion:
            return replace(question, entries=self._entries(question, shard), within="log")

        said, unread = self._all(OPENED, others, asked)
        left_out = f"; {', '.join(unread)} could not be asked" if unread else ""
        home, incident = one_incident(question.name, said, f" of {', '.join(said)}{left_out}")

        def of(shard: str) -> PartQuestion:
            return PartQuestion(
                incident=incident, is_home=shard == home, entries=self._entries(question, shard)
            )

        parts, unread = self._all(PART, others, of)
        story = joined_story(self._shard, {shard: one.story for shard, one in parts.items()}, unread)
        return incident_answer(incident, parts, story, log=said[home].log, home=home)

    def _possible(self, question: PossibleQuestion, others: Mapping[str, LogIndex]) -> Possible:
        from answerable.flows.forensics.join_possible import joined_possible

        def of(shard: str) -> PossibleQuestion:
            return replace(question, entries=self._entries(question, shard), within="log")

        answers, unread = self._asked(POSSIBLE, others, of)
        try:
            answers[self._shard] = self._own.ask(POSSIBLE, of(self._shard))
        except Malformed as failed:
            # The registry may be in the log of another shard alone.
            if not answers:
                left_out = "; ".join(f"shard {shard}: {why}" for shard, why in unread.items())
                raise Malformed(
                    f"{failed.message} (shard {self._shard}; {left_out})", code=failed.code
                ) from None
            unread = {self._shard: failed.message} | unread
        return joined_possible(self._shard, answers, unread)

    def _cursors(self, text: str) -> dict[str, str]:
        """Return how far each shard has come. Raises Malformed (`search.cursor`)."""
        before = parsed_log_cursors(text)
        if text and self._shard not in before:
            raise SEARCH_CURSOR(
                f"{shown(text, 40)} is not a cursor: give `next` of the answer before, unchanged"
            )
        return before

    def _entries(self, question: Asked, shard: str) -> int:
        """Return how many entries a shard is asked for: what its own server told its process, where it is another."""
        return question.entries if shard == self._shard else 0

    def _all(
        self,
        kind: QuestionKind[Q, A],
        others: Mapping[str, LogIndex],
        of: Callable[[str], Q],
        *,
        whole: bool = False,
    ) -> tuple[dict[str, A], dict[str, str]]:
        """Ask this shard and others at once, each its own question. Return the answers by shard, that of this one
        first, and why others gave none. whole: raise rather than leave one out. Raises as `ask`."""
        return self._asked(kind, others, of, whole=whole, first=True)

    def _asked(
        self,
        kind: QuestionKind[Q, A],
        others: Mapping[str, LogIndex],
        of: Callable[[str], Q],
        *,
        whole: bool = False,
        first: bool = False,
    ) -> tuple[dict[str, A], dict[str, str]]:
        """As `_all`. first: this shard, too, first of all."""
        answers: dict[str, A] = {}
        unread: dict[str, str] = {}
        with ThreadPoolExecutor(max_workers=max(1, len(others))) as pool:
            futures = {shard: pool.submit(one.ask, kind, of(shard)) for shard, one in others.items()}
            if first:
                answers[self._shard] = self._own.ask(kind, of(self._shard))
            for shard, future in futures.items():
                try:
                    answers[shard] = future.result()
                except AnswerableError as failed:
                    if whole:
                        raise
                    _log.warning("shard %s was not searched: %s", shard, failed.message)
                    unread[shard] = failed.message
        return answers, unread


def _names_shard(question: Asked) -> bool:
    """Whether it says something of one shard, which then must be there."""
    match question:
        case Question() | UnderQuestion() | IncidentsQuestion():
            return ":" in question.cursor
        case TreeQuestion() | AskedOfOne():
            return bool(question.log)
    return False


def _of_shard(word: str, shard: str) -> str:
    """Return the address of an entry of this shard as it is asked there; any other word unchanged."""
    found = entry_in_shard(word)
    return f"{ENTRY}:{found[1]}" if found is not None and found[0] == shard else word


def _left(others: Mapping[str, LogIndex], before: Mapping[str, str]) -> dict[str, LogIndex]:
    """Return the shards that have anything after the page before."""
    return {shard: one for shard, one in others.items() if before.get(shard) != DONE}


def _cursor(before: Mapping[str, str], shard: str, end: str) -> str:
    return before.get(shard, "") or (end if shard in before else "")


def _within(manifests: Iterable[ManifestTold]) -> tuple[ManifestTold, ...]:
    """Return as many as fit into a question."""
    found: list[ManifestTold] = []
    left = _MADE_BYTES_MAX
    for one in manifests:
        left -= len(msgspec.json.encode(one))
        if left < 0:
            break
        found.append(one)
    return tuple(found)
