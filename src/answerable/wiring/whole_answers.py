"""What answers each question that is answered of all entries of a log or not at all, wherever its index is at hand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from answerable.flows.forensics.answer_questions import answered_trace, answered_under
from answerable.flows.forensics.tell_tree import tell_tree
from answerable.ports.search_process import POSSIBLE, REPLAY, SELECTION, TRACE, TREE, UNDER, QuestionKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.api.decision_answers import Possible, Replayed
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_process import (
        PossibleQuestion,
        ReplayQuestion,
        SelectionAnswer,
        SelectionQuestion,
        TraceAnswer,
        TraceQuestion,
    )

    Answers = Mapping[QuestionKind[Any, Any], Callable[[StoryTeller, Any], Any]]


def _possible(teller: StoryTeller, question: PossibleQuestion) -> Possible:
    # Policies are evaluated for it, which a process that is never asked need not import.
    from answerable.flows.recovery.tell_then import tell_then

    return tell_then(teller, question)


def _replayed(teller: StoryTeller, question: ReplayQuestion) -> Replayed:
    from answerable.flows.forensics.replay_decisions import replay_decisions

    return replay_decisions(teller, question, monotonic=time.monotonic)


def _selected(teller: StoryTeller, question: SelectionQuestion) -> SelectionAnswer:
    # As for `_possible`: what belongs to a bundle is what its verifier needs.
    from answerable.flows.ledger.select_evidence import select_evidence

    return select_evidence(teller, question)


def _traced(teller: StoryTeller, question: TraceQuestion) -> TraceAnswer:
    return answered_trace(teller, question, monotonic=time.monotonic)


WHOLE: Final[Answers] = {
    UNDER: answered_under,
    TREE: lambda teller, question: tell_tree(teller, question.mandate),
    TRACE: _traced,
    POSSIBLE: _possible,
    SELECTION: _selected,
    REPLAY: _replayed,
}
