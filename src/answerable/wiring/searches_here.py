"""Answer what the control API asks the index for, in a command without a server."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread

from answerable.ports.search_process import A, Q, QuestionKind
from answerable.wiring.answers import WHOLE
from answerable.wiring.joined_index import JoinedIndex
from answerable.wiring.ledger_search import own_places
from answerable.wiring.log_index import FilesIndex, other_indexes
from answerable.wiring.search_side import SearchSide, SizedLog

if TYPE_CHECKING:
    from answerable.wiring.setting_tree import Settings


class SearchesHere(SearchSide):
    """Reads the ledger's files for what is answered of all of it, which commands do not read from them by themselves;
    `search.off` for all others."""

    def __init__(self, settings: Settings, log: SizedLog) -> None:
        super().__init__(settings.search, log)
        self._all_settings = settings

    async def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        """As `SearchSide.ask`. Raises as `searching`, Malformed, and Refused (`timeline.manifest_unknown`)."""
        if kind not in WHOLE:
            return await super().ask(kind, question)
        return await to_thread.run_sync(self._read, kind, question)

    def _read(self, kind: QuestionKind[Q, A], question: Q) -> A:
        settings = self._all_settings
        own = FilesIndex(own_places(settings))
        index = JoinedIndex(own, settings.ledger.shard, partial(other_indexes, settings))
        return index.ask(kind, question)
