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
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from msgspec.structs import replace

from answerable.core.search.log_cursors import DONE, parsed_log_cursors
from answerable.core.search.names import ENTRY
from answerable.core.search.query import LIMIT_MAX, Cursor, checked_limit, parsed_cursor, parsed_query
from answerable.errors import AnswerableError, Unavailable, shown
from answerable.errors.codes.search import SEARCH_BEHIND, SEARCH_CURSOR, SEARCH_UNREACHABLE
from answerable.flows.forensics.answer_questions import (
    Standing,
    answered_accounts,
    answered_name,
    answered_scope,
    answered_story,
)
from answerable.flows.forensics.list_accounts import LISTED, USERS_MAX
from answerable.flows.forensics.tell_hits import answer_of
from answerable.wiring.ledger_search import INDEX, SearchPlaces, own_keys, searching
from answerable.wiring.seen_accounts import SEEN, known_accounts
from answerable.wiring.shard_settings import with_shard
from answerable.wiring.shards import other_shards

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from answerable.api.search_answers import (
        AccountsAnswer,
        NameAnswer,
        ScopeAnswer,
        SearchAnswer,
        StoryAnswer,
    )
    from answerable.core.lease.own_account import DeclaredTarget
    from answerable.ports.search_process import (
        AccountsQuestion,
        NameQuestion,
        Question,
        ScopeQuestion,
        SearchProcess,
        StoryQuestion,
        Within,
    )
    from answerable.wiring.ledger_search import Searching
    from answerable.wiring.setting_tree import Settings

OTHERS_SECONDS_MAX: Final = 5.0
"""How long a question waits for the other shards, within the time of the whole question."""
_ENTRY: Final = re.compile(rf"(?:{ENTRY}:)?#?([a-z0-9-]+)/(0|[1-9][0-9]{{0,15}})")

_END: Final = Cursor(0, 0).formatted()
"""After which no log has anything."""

A = TypeVar("A")
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


class FilesIndex:
    """The files of one log, opened for each question; implements `LogIndex`."""

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
        limit = checked_limit(question.limit)
        with searching(self._places, progress=self._progress) as found:
            teller = found.teller(has_entries=question.within != "names")
            standing = self._standing(found, question.within, question.declared)
            return answered_story(teller, question.words, now=_now(), limit=limit, standing=standing)

    def name(self, question: NameQuestion) -> NameAnswer:
        with searching(self._places, progress=self._progress) as found:
            teller = found.teller(has_entries=question.within != "names")
            standing = self._standing(found, question.within, question.declared)
            return answered_name(teller, question.name, standing=standing)

    def scope(self, question: ScopeQuestion) -> ScopeAnswer:
        with searching(self._places, progress=self._progress) as found:
            return answered_scope(
                found.teller(), question.words, now=_now(), rows=checked_limit(question.rows)
            )

    def accounts(self, question: AccountsQuestion) -> AccountsAnswer:
        with searching(self._places, progress=self._progress) as found:
            standing = self._standing(found, question.within, question.declared)
            return answered_accounts(found.teller(), question.target, standing=standing)

    def _standing(
        self, found: Searching, within: Within, declared: tuple[DeclaredTarget, ...] | None
    ) -> Standing:
        known = known_accounts(self._places.seen, declared)
        return Standing(known=known, users=LISTED if within == "all" else USERS_MAX, sealed=found.sealed)


class OtherShard:
    """Another shard of this deployment: its process, or its files where that does not run; implements `LogIndex`."""

    def __init__(self, socket: Path, files: FilesIndex, *, seconds_max: float) -> None:
        self._socket, self._files, self._seconds_max = socket, files, seconds_max

    def search(self, question: Question) -> SearchAnswer:
        return self._asked(lambda process: process.search(question), lambda: self._files.search(question))

    def story(self, question: StoryQuestion) -> StoryAnswer:
        return self._asked(lambda process: process.story(question), lambda: self._files.story(question))

    def name(self, question: NameQuestion) -> NameAnswer:
        return self._asked(lambda process: process.name(question), lambda: self._files.name(question))

    def scope(self, question: ScopeQuestion) -> ScopeAnswer:
        return self._asked(lambda process: process.scope(question), lambda: self._files.scope(question))

    def accounts(self, question: AccountsQuestion) -> AccountsAnswer:
        return self._asked(lambda process: process.accounts(question), lambda: self._files.accounts(question))

    def _asked(self, ask: Callable[[SearchProcess], Awaitable[A]], read: Callable[[], A]) -> A:
        import anyio

        from answerable.adapters.search_http import HttpSearchProcess

        process = HttpSearchProcess(self._socket, seconds_max=self._seconds_max)
        try:
            return anyio.run(ask, process)
        except Unavailable as failed:
            if failed.code != SEARCH_UNREACHABLE.id:
                raise
        return read()


class JoinedIndex:
    """All shards of a ledger; implements `LogIndex`. Thread-safe where `own` is."""

    def __init__(self, own: LogIndex, shard: str, others: Callable[[], Mapping[str, LogIndex]]) -> None:
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
            return replace(
                question, cursor=before.get(shard, "") or (_END if shard in before else ""), within="log"
            )

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
            return replace(question, words=words, within="log" if is_named else "names")

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
            return replace(question, name=name, within="log" if is_named else "names")

        asked = {shard: partial(one.name, of(shard)) for shard, one in others.items()}
        answers, unread = self._answers(asked, partial(self._own.name, of(self._shard)))
        return joined_name(self._shard, answers, unread)

    def scope(self, question: ScopeQuestion) -> ScopeAnswer:
        from answerable.flows.forensics.join_answers import joined_scope

        others = self._asked_too(question)
        if not others:
            return self._own.scope(question)
        # The highest rows of all shards need not be among the highest of one.
        whole = replace(question, rows=LIMIT_MAX, within="log")
        asked = {shard: partial(one.scope, whole) for shard, one in others.items()}
        answers, unread = self._answers(asked, partial(self._own.scope, whole))
        return joined_scope(self._shard, answers, unread, rows=question.rows)

    def accounts(self, question: AccountsQuestion) -> AccountsAnswer:
        from answerable.flows.forensics.join_accounts import joined_accounts

        others = self._asked_too(question)
        if not others:
            return self._own.accounts(question)
        alone = replace(question, within="log")
        asked = {shard: partial(one.accounts, alone) for shard, one in others.items()}
        answers, unread = self._answers(asked, partial(self._own.accounts, alone))
        return joined_accounts(self._shard, answers, unread)

    def _asked_too(
        self, question: Question | StoryQuestion | NameQuestion | ScopeQuestion | AccountsQuestion
    ) -> Mapping[str, LogIndex]:
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
    settings: Settings,
    *,
    seconds_max: float = OTHERS_SECONDS_MAX,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, LogIndex]:
    """Return what answers for the other shards of this deployment, by name. progress: is called while the log of one is
    indexed, which then takes as long as it does; None to end that after `seconds_max`."""
    return {
        one.name: OtherShard(
            with_shard(settings, one.name).search.socket,
            FilesIndex(
                SearchPlaces(
                    ledger=settings.ledger.shards / one.name,
                    keys=own_keys(settings),
                    index=settings.data / INDEX / one.name,
                    is_own=True,
                    wait_seconds_max=seconds_max,
                    seen=settings.data / SEEN,
                ),
                progress=progress or _bounded(seconds_max),
            ),
            seconds_max=seconds_max,
        )
        for one in other_shards(settings)
    }


def _bounded(seconds_max: float) -> Callable[[int, int], None]:
    ends = time.monotonic() + seconds_max

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
