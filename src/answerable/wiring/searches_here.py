"""Answer what the control API asks the index for, in a command without a server."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from anyio import to_thread

from answerable.flows.forensics.answer_questions import answered_under
from answerable.flows.forensics.tell_tree import tell_tree
from answerable.ports.search_process import UnderQuestion
from answerable.wiring.ledger_search import own_places, searching
from answerable.wiring.search_side import SearchSide, SizedLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_process import TreeAnswer, UnderAnswer
    from answerable.wiring.setting_tree import Settings

A = TypeVar("A")


class SearchesHere(SearchSide):
    """Reads the ledger's files for what commands do not read from them by themselves; `search.off` for all others."""

    def __init__(self, settings: Settings, log: SizedLog) -> None:
        super().__init__(settings.search, log)
        self._all_settings = settings

    async def under(self, *, manifest: str, prompt: str, model: str, limit: int, cursor: str) -> UnderAnswer:
        """As `SearchSide.under`. Raises as `searching`, Malformed, and Refused (`timeline.manifest_unknown`)."""
        question = UnderQuestion(
            manifest=manifest, prompt=prompt, model=model, limit=limit, cursor=cursor, entries=self._log.size
        )
        return await to_thread.run_sync(self._read, partial(answered_under, question=question))

    async def tree(self, mandate: str) -> TreeAnswer:
        """As `SearchSide.tree`. Raises as `searching`."""
        return await to_thread.run_sync(self._read, partial(tell_tree, mandate=mandate))

    def _read(self, answer: Callable[[StoryTeller], A]) -> A:
        with searching(own_places(self._all_settings)) as found:
            return answer(found.teller())
