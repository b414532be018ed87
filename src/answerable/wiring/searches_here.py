"""Answer what the control API asks the index for, in a command without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from answerable.flows.forensics.answer_questions import answered_under
from answerable.flows.forensics.tell_tree import tell_tree
from answerable.ports.search_process import TREE, UNDER, A, Q, QuestionKind
from answerable.wiring.ledger_search import own_places, searching
from answerable.wiring.search_side import SearchSide, SizedLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.wiring.setting_tree import Settings

_READ: Final[Mapping[QuestionKind[Any, Any], Callable[[StoryTeller, Any], Any]]] = {
    UNDER: answered_under,
    TREE: lambda teller, question: tell_tree(teller, question.mandate),
}
"""What answers the questions that commands do not read from the files by themselves."""


class SearchesHere(SearchSide):
    """Reads the ledger's files for what commands do not read from them by themselves; `search.off` for all others."""

    def __init__(self, settings: Settings, log: SizedLog) -> None:
        super().__init__(settings.search, log)
        self._all_settings = settings

    async def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        """As `SearchSide.ask`. Raises as `searching`, Malformed, and Refused (`timeline.manifest_unknown`)."""
        if kind not in _READ:
            return await super().ask(kind, question)
        return await to_thread.run_sync(self._read, kind, question)

    def _read(self, kind: QuestionKind[Q, A], question: Q) -> A:
        with searching(own_places(self._all_settings)) as found:
            answer: A = _READ[kind](found.teller(), question)
            return answer
