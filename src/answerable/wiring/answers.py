"""What answers each question about one log, wherever its index is at hand."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from answerable.flows.forensics.answer_questions import (
    answered_accounts,
    answered_incident,
    answered_incidents,
    answered_made,
    answered_name,
    answered_opened,
    answered_part,
    answered_scope,
    answered_search,
    answered_story,
    answered_totals,
    answered_trace,
    answered_under,
    nothing_sealed,
)
from answerable.flows.forensics.tell_tree import tell_tree
from answerable.ports.lease_use import LEASE_USE
from answerable.ports.policy_trial import POLICY
from answerable.ports.rule_trial import RULE
from answerable.ports.search_process import (
    ACCOUNTS,
    INCIDENT,
    INCIDENTS,
    MADE,
    NAME,
    OPENED,
    PART,
    POSSIBLE,
    REPLAY,
    SCOPE,
    SEARCH,
    SELECTION,
    STORY,
    TOTALS,
    TRACE,
    TREE,
    UNDER,
    A,
    Q,
    QuestionKind,
)
from answerable.wiring.seen_accounts import known_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from answerable.api.decision_answers import Possible, Replayed
    from answerable.flows.forensics.answer_questions import Sealed
    from answerable.flows.forensics.list_accounts import Known
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.lease_use import LeaseUseQuestion, LeaseUseTold
    from answerable.ports.policy_evaluation import PolicyAsking
    from answerable.ports.policy_trial import PolicyQuestion, PolicyTold
    from answerable.ports.rule_trial import RuleQuestion, RuleTold
    from answerable.ports.search_process import (
        AskedOfAccounts,
        PossibleQuestion,
        ReplayQuestion,
        SelectionAnswer,
        SelectionQuestion,
    )

    Answers = Mapping[QuestionKind[Any, Any], Callable[[StoryTeller, Any, "Beside"], Any]]


def _now() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Beside:
    """What a question is answered with beside an index. seen: the file of accounts that were seen in logs; None for
    none. sealed: as `answered_story` takes it. now: Unix milliseconds."""

    seen: Path | None = None
    sealed: Sealed = nothing_sealed
    now: int = field(default_factory=_now)

    def known(self, asked: AskedOfAccounts) -> Known:
        """Return what is known of accounts beside the ledger."""
        return known_accounts(self.seen, asked.declared)


def _possible(teller: StoryTeller, question: PossibleQuestion, _: Beside) -> Possible:
    # Policies are evaluated for it, which a process that is never asked need not import.
    from answerable.flows.recovery.tell_then import tell_then

    return tell_then(teller, question)


def _replayed(teller: StoryTeller, question: ReplayQuestion, _: Beside) -> Replayed:
    from answerable.flows.forensics.replay_decisions import replay_decisions

    return replay_decisions(teller, question, monotonic=time.monotonic)


def _selected(teller: StoryTeller, question: SelectionQuestion, _: Beside) -> SelectionAnswer:
    # As for `_possible`: what belongs to a bundle is what its verifier needs.
    from answerable.flows.ledger.select_evidence import select_evidence

    return select_evidence(teller, question)


def _tried(teller: StoryTeller, question: RuleQuestion, _: Beside) -> RuleTold:
    from answerable.flows.policy.try_rule import try_rule

    return try_rule(teller, question, monotonic=time.monotonic)


def _used(teller: StoryTeller, question: LeaseUseQuestion, _: Beside) -> LeaseUseTold:
    from answerable.flows.leases.tell_lease_use import tell_lease_use

    return tell_lease_use(teller, question, monotonic=time.monotonic)


def _simulated(teller: StoryTeller, question: PolicyQuestion, _: Beside) -> PolicyTold:
    from answerable.flows.policy.try_policy import try_policy

    return try_policy(teller, question, _candidate(question.documents), monotonic=time.monotonic)


@lru_cache(maxsize=1)
def _candidate(documents: tuple[str, ...]) -> PolicyAsking:
    """Compile policy sets, once for all pages of a simulation."""
    from answerable.adapters.cedar.asking import compiled_asking
    from answerable.flows.policy.try_policy import candidate_of

    return candidate_of(documents, compiled_asking)


_ANSWERS: Final[Answers] = {
    SEARCH: lambda teller, asked, by: answered_search(teller, asked, now=by.now, sealed=by.sealed),
    STORY: lambda teller, asked, by: answered_story(
        teller, asked, now=by.now, known=by.known(asked), sealed=by.sealed
    ),
    NAME: lambda teller, asked, by: answered_name(teller, asked, known=by.known(asked), sealed=by.sealed),
    ACCOUNTS: lambda teller, asked, by: answered_accounts(teller, asked, known=by.known(asked)),
    SCOPE: lambda teller, asked, by: answered_scope(teller, asked, now=by.now),
    TOTALS: lambda teller, asked, by: answered_totals(teller, asked, now=by.now),
    INCIDENTS: lambda teller, asked, _: answered_incidents(teller, asked),
    INCIDENT: lambda teller, asked, by: answered_incident(teller, asked, sealed=by.sealed),
    OPENED: lambda teller, asked, _: answered_opened(teller, asked),
    PART: lambda teller, asked, by: answered_part(teller, asked, sealed=by.sealed),
    UNDER: lambda teller, asked, _: answered_under(teller, asked),
    MADE: lambda teller, asked, _: answered_made(teller, asked),
    TREE: lambda teller, asked, _: tell_tree(teller, asked.mandate),
    TRACE: lambda teller, asked, _: answered_trace(teller, asked, monotonic=time.monotonic),
    POSSIBLE: _possible,
    SELECTION: _selected,
    REPLAY: _replayed,
    RULE: _tried,
    LEASE_USE: _used,
    POLICY: _simulated,
}
ANSWERED: Final = tuple(_ANSWERS)
WHOLE: Final = frozenset((UNDER, MADE, TREE, TRACE, POSSIBLE, SELECTION, REPLAY, RULE, LEASE_USE, POLICY))
"""What is answered of all entries of a log or not at all."""

OF_ONE: Final = (REPLAY, RULE, LEASE_USE, POLICY)
"""What is answered of one log alone, which the question may name."""


def answer(kind: QuestionKind[Q, A], teller: StoryTeller, question: Q, beside: Beside) -> A:
    """Return the answer to a question. kind: one of `ANSWERED`. Raises as what answers it."""
    found: A = _ANSWERS[kind](teller, question, beside)
    return found
