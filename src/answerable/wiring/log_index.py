"""What answers questions about one log of several: its process where that runs, else its files, read here."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from answerable.core.search.query import checked_limit, parsed_cursor, parsed_query
from answerable.errors import Unavailable, shown
from answerable.errors.codes.ledger import LEDGER_NO_COPY
from answerable.errors.codes.search import SEARCH_BEHIND, SEARCH_UNREACHABLE
from answerable.flows.forensics.answer_questions import (
    answered_accounts,
    answered_incident,
    answered_incidents,
    answered_name,
    answered_opened,
    answered_part,
    answered_scope,
    answered_story,
)
from answerable.flows.forensics.tell_hits import answer_of
from answerable.ports.search_process import (
    ACCOUNTS,
    INCIDENTS,
    NAME,
    OPENED,
    PART,
    SCOPE,
    SEARCH,
    STORY,
    A,
    Q,
)
from answerable.wiring.ledger_search import INDEX, SearchPlaces, own_keys, searching
from answerable.wiring.seen_accounts import SEEN, known_accounts
from answerable.wiring.shard_settings import with_shard
from answerable.wiring.shards import other_shards
from answerable.wiring.whole_answers import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
        IncidentOpened,
        IncidentPart,
        IncidentQuestion,
        IncidentsQuestion,
        NameQuestion,
        PartQuestion,
        Question,
        QuestionKind,
        ScopeQuestion,
        StoryQuestion,
    )
    from answerable.wiring.ledger_search import Searching
    from answerable.wiring.setting_tree import Settings

OTHERS_SECONDS_MAX: Final = 5.0
"""How long a question waits for the other shards, within the time of the whole question."""


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

    def whole(self, kind: QuestionKind[Q, A], question: Q) -> A:
        """Answer a question that is in `WHOLE`, of all entries or none."""
        ...

    def incidents(self, question: IncidentsQuestion) -> IncidentsAnswer:
        """Return a page of incidents, newest first."""
        ...

    def opened(self, question: IncidentQuestion) -> IncidentOpened:
        """Return what people said of an incident."""
        ...

    def part(self, question: PartQuestion) -> IncidentPart:
        """Return what the log has of an incident."""
        ...


class IncidentIndex(LogIndex, Protocol):
    """What tells incidents whole, too."""

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

    def whole(self, kind: QuestionKind[Q, A], question: Q) -> A:
        with self._opened(question) as (teller, _):
            answer: A = WHOLE[kind](teller, question)
            return answer

    def incidents(self, question: IncidentsQuestion) -> IncidentsAnswer:
        with self._opened(question) as (teller, _):
            return answered_incidents(teller, question)

    def opened(self, question: IncidentQuestion) -> IncidentOpened:
        with self._opened(question) as (teller, _):
            return answered_opened(teller, question)

    def part(self, question: PartQuestion) -> IncidentPart:
        with self._opened(question) as (teller, found):
            return answered_part(teller, question, sealed=found.sealed)

    def incident(self, question: IncidentQuestion) -> IncidentAnswer:
        with self._opened(question) as (teller, found):
            return answered_incident(teller, question, sealed=found.sealed)

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

    def whole(self, kind: QuestionKind[Q, A], question: Q) -> A:
        return self._asked(kind, question, partial(self._files.whole, kind))

    def incidents(self, question: IncidentsQuestion) -> IncidentsAnswer:
        return self._asked(INCIDENTS, question, self._files.incidents)

    def opened(self, question: IncidentQuestion) -> IncidentOpened:
        return self._asked(OPENED, question, self._files.opened)

    def part(self, question: PartQuestion) -> IncidentPart:
        return self._asked(PART, question, self._files.part)

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


def _now() -> int:
    return time.time_ns() // 1_000_000
