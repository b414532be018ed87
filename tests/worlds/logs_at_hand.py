"""Logs of several shards, each with an index that is made for it, asked as their processes are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from answerable.flows.forensics.answer_questions import (
    answered_incident,
    answered_incidents,
    answered_made,
    answered_opened,
    answered_part,
    answered_under,
)
from answerable.flows.forensics.tell_tree import tell_tree
from answerable.wiring.joined_index import JoinedIndex
from answerable.wiring.log_index import IncidentIndex
from tests.worlds.stories import teller_of

if TYPE_CHECKING:
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.parts import Recorder

_ANSWERS: Mapping[str, Callable[..., Any]] = {
    "under": answered_under,
    "made": answered_made,
    "tree": lambda teller, asked: tell_tree(teller, asked.mandate),
    "incidents": answered_incidents,
    "incident": answered_incident,
    "opened": answered_opened,
    "part": answered_part,
}


@dataclass
class LogAtHand:
    """Answers each question of a shard about its own log alone. entries: in the place of those that it has."""

    recorder: Recorder
    entries: Sequence[StoredEntry] | None = None

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        answer = _ANSWERS[name]

        def answered(question: Any) -> Any:
            with teller_of(self.recorder, entries=self.entries) as teller:
                return answer(teller, question)

        return answered


def joined(own: str, **logs: LogAtHand) -> JoinedIndex:
    """What the process of one of these shards answers by."""
    others = {name: cast("IncidentIndex", log) for name, log in logs.items() if name != own}
    return JoinedIndex(cast("IncidentIndex", logs[own]), own, lambda: others)
