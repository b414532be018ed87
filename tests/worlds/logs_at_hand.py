"""Logs of several shards, each with an index that is made for it, asked as their processes are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from answerable.flows.forensics.answer_questions import (
    answered_incident,
    answered_incidents,
    answered_opened,
    answered_part,
)
from answerable.wiring.joined_index import JoinedIndex
from answerable.wiring.log_index import IncidentIndex
from answerable.wiring.whole_answers import WHOLE
from tests.worlds.stories import teller_of

if TYPE_CHECKING:
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.parts import Recorder

_ANSWERS: Mapping[str, Callable[..., Any]] = {
    "whole": lambda teller, kind, question: WHOLE[kind](teller, question),
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

    def __getattr__(self, name: str) -> Callable[..., Any]:
        answer = _ANSWERS[name]

        def answered(*asked: Any) -> Any:
            with teller_of(self.recorder, entries=self.entries) as teller:
                return answer(teller, *asked)

        return answered


def joined(own: str, **logs: LogAtHand) -> JoinedIndex:
    """What the process of one of these shards answers by."""
    others = {name: cast("IncidentIndex", log) for name, log in logs.items() if name != own}
    return JoinedIndex(cast("IncidentIndex", logs[own]), own, lambda: others)
