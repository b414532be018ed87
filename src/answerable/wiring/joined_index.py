"""Answer questions about a ledger that is kept in shards: each shard is asked for its own log, and the answers are
joined.

The process of a shard that answers searches is asked where it runs; else the files of its log are read here. A shard
that gives no answer is named with the reason, and hides nothing of the others.
"""

from __future__ import annotations

import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from answerable.core.search.log_cursors import DONE, parsed_log_cursors
from answerable.core.search.names import ENTRY
from answerable.core.search.query import LIMIT_MAX, Cursor, Query, checked_limit, parsed_cursor, parsed_query
from answerable.errors import AnswerableError, Malformed, Unavailable, shown
from answerable.errors.codes.incidents import INCIDENT_UNKNOWN
from answerable.errors.codes.ledger import LEDGER_NO_COPY
from answerable.errors.codes.search import SEARCH_BEHIND, SEARCH_CURSOR, SEARCH_UNREACHABLE
from answerable.flows.forensics.answer_questions import (
    answered_accounts,
    answered_incident,
    answered_incidents,
    answered_name,
    answered_scope,
    answered_story,
)
from answerable.flows.forensics.tell_hits import answer_of
from answerable.ports.search_process import ACCOUNTS, NAME, SCOPE, SEARCH, STORY, A, Q
from answerable.wiring.ledger_search import INDEX, SearchPlaces, own_keys, searching
from answerable.wiring.seen_accounts import SEEN, known_accounts
from answerable.wiring.shard_settings import with_shard
from answerable.wiring.shards import other_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from answerable.adapters.tlog_files import StoredFiles
    from answerable.api.incident_answers import IncidentAnswer, IncidentsAnswer
    from answerable.api.search_answers import (
        AccountsAnswer,
        NameAnswer,
        ScopeAnswer,
        SearchAnswer,
        StoryAnswer,
    )
    from answerable.flows.forensics.list_accounts import Known
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_process import (
        AccountsQuestion,
        Asked,
        AskedOfAccounts,
        IncidentQuestion,
        IncidentsQuestion,
        NameQuestion,
        Question,
        QuestionKind,
        ScopeQuestion,
        StoryQuestion,
    )
    from answerable.wiring.ledger_search import Searching
    from answerable.wiring.setting_tree import Settings

OTHERS_SECONDS_MAX: Final = 5.0
"""How long a question waits for the other shards, within the time of the whole question."""
_ENTRY: Final = re.compile(rf"(?:{ENTRY}:)?#?([a-z0-9-]+)/(0|[1-9][0-9]{{0,15}})")

_END: Final = Cursor(0, 0).formatted()
"""After which no log has anything."""

_log: Final = logging.getLogger(__name__)


class LogIndex(Protocol):
    """What answers questions about one log. Each raises as the method of `ports.search_process.SearchProcess`, and
    Broken as the log does."""

    def search(self, question: Question) -> SearchAnswer:
        """Return a page of hits."""
        ...

    def story(self, question: StoryQuestion) -> StoryAnswer:
        """Return the story of names."""
        ...

    def name(self, question: NameQuestion) -> NameAnswer:
        """Return what a name stands for."""
        ...

    def scope(self, question: ScopeQuestion) -> ScopeAnswer:
        """Return how much was out of scope."""
        ...

    def accounts(self, question: AccountsQuestion) -> AccountsAnswer:
        """Return the accounts at targets."""
        ...


class IncidentIndex(LogIndex, Protocol):
    """What tells incidents, too."""

    def incidents(self, question: IncidentsQuestion) -> IncidentsAnswer:
        """Return all incidents, newest first."""
        ...

    def incident(self, question: IncidentQuestion) -> IncidentAnswer:
        """Return one incident."""
        ...


class FilesIndex:
    """The files of one log, opened for each question; implements `IncidentIndex`."""

    def __init__(
        self, places: SearchPlaces, *, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        self._places, self._progress = places, progress

    def search(self, question: Question) -> SearchAnswer:
        query = parsed_query(question.words, now=_now())
        after = parsed_cursor(question.cursor) if question.cursor else None
        with searching(self._places, progress=self._progress) as found:
            page = found.search(query, limit=checked_limit(question.limit), after=after)
            return answer_of(page, sealed=found.sealed(query))

    def story(self, question: StoryQuestion) -> StoryAnswer:
        with self._opened(question) as (teller, found):
            known = self._known(question)
            return answered_story(teller, question, now=_now(), known=known, sealed=found.sealed)

    def name(self, question: NameQuestion) -> NameAnswer:
        with self._opened(question) as (teller, found):
            return answered_name(teller, question, known=self._known(question), sealed=found.sealed)

    def accounts(self, question: AccountsQuestion) -> AccountsAnswer:
        with self._opened(question) as (teller, _):
            return answered_accounts(teller, question, known=self._known(question))

    def scope(self, question: ScopeQuestion) -> ScopeAnswer:
        with self._opened(question) as (teller, _):
            return answered_scope(teller, question, now=_now())

    def incidents(self, question: IncidentsQuestion) -> IncidentsAnswer:
        with self._opened(question) as (teller, _):
            return answered_incidents(teller, question)

    def incident(self, question: IncidentQuestion) -> IncidentAnswer:
        with self._opened(question) as (teller, found):
            answer = answered_incident(teller, question)
            sealed = found.sealed(Query(), (question.name,))
            return replace(answer, story=replace(answer.story, sealed=sealed))

    @contextmanager
    def _opened(self, asked: Asked) -> Iterator[tuple[StoryTeller, Searching]]:
        with searching(self._places, progress=self._progress) as found:
            yield found.teller(has_entries=asked.within != "names"), found

    def _known(self, asked: AskedOfAccounts) -> Known:
        return known_accounts(self._places.seen, asked.declared)


class OtherShard:
    """Another shard of this deployment: its process, or its files where that does not run; implements `LogIndex`."""

    def __init__(self, log: StoredFiles, socket: Path, files: FilesIndex) -> None:
        self._log, self._socket, self._files = log, socket, files

    def search(self, question: Question) -> SearchAnswer:
        return self._asked(SEARCH, question, self._files.search)

    def story(self, question: StoryQuestion) -> StoryAnswer:
        return self._asked(STORY, question, self._files.story)

    def name(self, question: NameQuestion) -> NameAnswer:
        return self._asked(NAME, question, self._files.name)

    def scope(self, question: ScopeQuestion) -> ScopeAnswer:
        return self._asked(SCOPE, question, self._files.scope)

    def accounts(self, question: AccountsQuestion) -> AccountsAnswer:
        return self._asked(ACCOUNTS, question, self._files.accounts)

    def _asked(self, kind: QuestionKind[Q, A], question: Q, read: Callable[[Q], A]) -> A:
        import anyio

        from answerable.adapters.search_http import HttpSearchProcess

        origin = self._log.origin()
        if origin and not origin.endswith(f"/{self._log.name}"):
            # What a shard did would be told, and counted, twice.
            raise LEDGER_NO_COPY(f"the log in shard {self._log.name} is called {shown(origin)}: it is a copy")
        process = HttpSearchProcess(self._socket, seconds_max=OTHERS_SECONDS_MAX)
        try:
            return anyio.run(process.ask, kind, question)
        except Unavailable as failed:
            if failed.code != SEARCH_UNREACHABLE.id:
                raise
        return read(question)


class JoinedIndex:
    """All shards of a ledger; implements `IncidentIndex`. Thread-safe where `own` is."""

    def __init__(self, own: IncidentIndex, shard: str, others: Callable[[], Mapping[str, LogIndex]]) -> None:
        """own: answers for the log of this shard; empty for a ledger of one log. others: returns what answers for the
        other shards that there are now, by name."""
        self._own, self._shard, self._others = own, shard, others

    def search(self, question: Question) -> SearchAnswer:
        from answerable.flows.forensics.join_answers import joined_search

        others = self._asked_too(question)
        if not others and ":" not in question.cursor:
            return self._own.search(question)
        before = parsed_log_cursors(question.cursor)
        if question.cursor and self._shard not in before:
            raise SEARCH_CURSOR(
                f"{shown(question.cursor, 40)} is not a cursor: give `next` of the answer before, unchanged"
            )

        def of(shard: str) -> Question:
            cursor = before.get(shard, "") or (_END if shard in before else "")
            return replace(question, cursor=cursor, entries=self._entries(question, shard), within="log")

        asked = {
            shard: partial(one.search, of(shard))
            for shard, one in others.items()
            if before.get(shard) != DONE
        }
        answers, unread = self._answers(asked, partial(self._own.search, of(self._shard)))
        return joined_search(self._shard, answers, unread, before=before, limit=question.limit)

    def story(self, question: StoryQuestion) -> StoryAnswer:
        from answerable.flows.forensics.join_answers import joined_story

        others = self._asked_too(question)
        if not others:
            return self._own.story(question)

        def of(shard: str) -> StoryQuestion:
            words = tuple(_of_shard(one, shard) for one in question.words)
            is_named = words != question.words or shard == self._shard
            entries = self._entries(question, shard)
            return replace(question, words=words, entries=entries, within="log" if is_named else "names")

        asked = {shard: partial(one.story, of(shard)) for shard, one in others.items()}
        answers, unread = self._answers(asked, partial(self._own.story, of(self._shard)))
        return joined_story(self._shard, answers, unread)

    def name(self, question: NameQuestion) -> NameAnswer:
        from answerable.flows.forensics.join_answers import joined_name

        others = self._asked_too(question)
        if not others:
            return self._own.name(question)

        def of(shard: str) -> NameQuestion:
            name = _of_shard(question.name, shard)
            is_named = name != question.name or shard == self._shard
            entries = self._entries(question, shard)
            return replace(question, name=name, entries=entries, within="log" if is_named else "names")

        asked = {shard: partial(one.name, of(shard)) for shard, one in others.items()}
        answers, unread = self._answers(asked, partial(self._own.name, of(self._shard)))
        return joined_name(self._shard, answers, unread)

    def scope(self, question: ScopeQuestion) -> ScopeAnswer:
        from answerable.flows.forensics.join_answers import joined_scope

        others = self._asked_too(question)
        if not others:
            return self._own.scope(question)

        # The highest rows of all shards need not be among the highest of one.
        def of(shard: str) -> ScopeQuestion:
            return replace(question, rows=LIMIT_MAX, entries=self._entries(question, shard), within="log")

        asked = {shard: partial(one.scope, of(shard)) for shard, one in others.items()}
        answers, unread = self._answers(asked, partial(self._own.scope, of(self._shard)))
        return joined_scope(self._shard, answers, unread, rows=question.rows)

    def accounts(self, question: AccountsQuestion) -> AccountsAnswer:
        from answerable.flows.forensics.join_accounts import joined_accounts

        others = self._asked_too(question)
        if not others:
            return self._own.accounts(question)

        def of(shard: str) -> AccountsQuestion:
            return replace(question, entries=self._entries(question, shard), within="log")

        asked = {shard: partial(one.accounts, of(shard)) for shard, one in others.items()}
        answers, unread = self._answers(asked, partial(self._own.accounts, of(self._shard)))
        return joined_accounts(self._shard, answers, unread)

    def incidents(self, question: IncidentsQuestion) -> IncidentsAnswer:
        return replace(self._own.incidents(question), elsewhere=self._left_out())

    def incident(self, question: IncidentQuestion) -> IncidentAnswer:
        try:
            found = self._own.incident(question)
        except Malformed as unknown:
            others = ", ".join(self._others())
            if unknown.code != INCIDENT_UNKNOWN.id or not others:
                raise
            raise INCIDENT_UNKNOWN(
                f"{unknown.message}, and those of the shards {others}, each asked with its own settings"
            ) from None
        return replace(found, story=replace(found.story, elsewhere=self._left_out()))

    def _left_out(self) -> dict[str, str]:
        return dict.fromkeys(self._others(), "an incident is told from the log of one shard")

    def _entries(self, question: Asked, shard: str) -> int:
        """Return how many entries a shard is asked for: what its own server told its process, where it is another."""
        return question.entries if shard == self._shard else 0

    def _asked_too(self, question: Asked) -> Mapping[str, LogIndex]:
        return self._others() if self._shard and question.within == "all" else {}

    def _answers(
        self, asked: Mapping[str, Callable[[], A]], own: Callable[[], A]
    ) -> tuple[dict[str, A], dict[str, str]]:
        """Return the answers by shard, that of this one first, and why others gave none. Raises as `own` does."""
        with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
            futures = {shard: pool.submit(one) for shard, one in asked.items()}
            answers, unread = {self._shard: own()}, {}
            for shard, future in futures.items():
                try:
                    answers[shard] = future.result()
                except AnswerableError as failed:
                    _log.warning("shard %s was not searched: %s", shard, failed.message)
                    unread[shard] = failed.message
        return answers, unread


def other_indexes(
    settings: Settings, *, progress: Callable[[int, int], None] | None = None
) -> dict[str, LogIndex]:
    """Return what answers for the other shards of this deployment, by name. progress: is called while the log of one is
    indexed, which then takes as long as it does; None to end that after `OTHERS_SECONDS_MAX`."""
    return {
        one.name: OtherShard(
            one,
            with_shard(settings, one.name).search.socket,
            FilesIndex(
                SearchPlaces(
                    ledger=settings.ledger.shards / one.name,
                    keys=own_keys(settings),
                    index=settings.data / INDEX / one.name,
                    is_own=True,
                    wait_seconds_max=OTHERS_SECONDS_MAX,
                    seen=settings.data / SEEN,
                ),
                progress=progress or _bounded(),
            ),
        )
        for one in other_shards(settings)
    }


def _bounded() -> Callable[[int, int], None]:
    ends = time.monotonic() + OTHERS_SECONDS_MAX

    def told(done: int, total: int) -> None:
        if done < total and time.monotonic() > ends:
            raise SEARCH_BEHIND(f"the index does not have {total - done} later entries yet: ask again soon")

    return told


def _of_shard(word: str, shard: str) -> str:
    """Return the address of an entry of this shard as it is asked there; any other word unchanged."""
    found = _ENTRY.fullmatch(word)
    return f"{ENTRY}:{found[2]}" if found is not None and found[1] == shard else word


def _now() -> int:
    return time.time_ns() // 1_000_000
