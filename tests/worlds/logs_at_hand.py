"""Logs of several shards, each with an index that is made for it, asked as their processes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.wiring.answers import Beside, answer
from answerable.wiring.joined_index import JoinedIndex
from tests.worlds.stories import teller_of

if TYPE_CHECKING:
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.parts import Recorder
    from answerable.ports.search_process import A, Q, QuestionKind


@dataclass
class LogAtHand:
    """Answers each question of a shard about its own log alone. entries: in the place of those that it has."""

    recorder: Recorder
    entries: Sequence[StoredEntry] | None = None

    def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        with teller_of(self.recorder, entries=self.entries) as teller:
            return answer(kind, teller, question, Beside(now=self.recorder.clock.now()))


class JoinedSearches:
    """What the server of shard `a` asks: its process, which asks the others."""

    def __init__(self, **logs: LogAtHand) -> None:
        self._index = joined("a", **logs)

    async def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        return self._index.ask(kind, question)


def joined(own: str, **logs: LogAtHand) -> JoinedIndex:
    """What the process of one of these shards answers by."""
    others = {name: log for name, log in logs.items() if name != own}
    return JoinedIndex(logs[own], own, lambda: others)
