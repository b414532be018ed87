"""What answers questions about one log of several: its process where that runs, else its files, read here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from answerable.errors import Unavailable, shown
from answerable.errors.codes.ledger import LEDGER_NO_COPY
from answerable.errors.codes.search import SEARCH_BEHIND, SEARCH_UNREACHABLE
from answerable.wiring.answers import Beside, answer
from answerable.wiring.ledger_search import INDEX, SearchPlaces, own_keys, searching
from answerable.wiring.seen_accounts import SEEN
from answerable.wiring.shard_settings import with_shard
from answerable.wiring.shards import other_shards

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.adapters.tlog_files import StoredFiles
    from answerable.ports.search_process import A, Q, QuestionKind
    from answerable.wiring.setting_tree import Settings

OTHERS_SECONDS_MAX: Final = 5.0
"""How long a question waits for the other shards, within the time of the whole question."""


class LogIndex(Protocol):
    """What answers questions about one log, or about those of all shards."""

    def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        """Return the answer. Raises as `ports.search_process.SearchProcess.ask`, and Broken as the log does."""
        ...


class FilesIndex:
    """The files of one log, opened for each question; implements `LogIndex`."""

    def __init__(
        self, places: SearchPlaces, *, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        self._places, self._progress = places, progress

    def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        with searching(self._places, progress=self._progress) as found:
            teller = found.teller(has_entries=question.within != "names")
            return answer(kind, teller, question, Beside(self._places.seen, found.sealed))


class OtherShard:
    """Another shard of this deployment: its process, or its files where that does not run; implements `LogIndex`."""

    def __init__(self, log: StoredFiles, socket: Path, files: FilesIndex) -> None:
        self._log, self._socket, self._files = log, socket, files

    def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
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
        return self._files.ask(kind, question)


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
