"""What the process that answers searches is asked about policy sets: what they would have decided."""

from __future__ import annotations

from typing import Final

from answerable.core.decision.asked_of_people import QuestionsCompared
from answerable.core.decision.compared import Difference, Tally
from answerable.ports.search_process import AskedOfOne, OfOne, QuestionKind

POLICY_BYTES_MAX: Final = 67_108_864
"""It has all documents of a registry, of which there may be tens of thousands."""


class PolicyQuestion(AskedOfOne, frozen=True, kw_only=True):
    """One question what policy sets would have decided. documents: canonical JSON of each registry document, as they
    would be with these sets. tiers: changed ones, by capability. start: the first entry that is read; None for the
    first that may be of `since` (Unix milliseconds) or later."""

    documents: tuple[str, ...]
    tiers: dict[str, int]
    since: int = 0
    start: int | None = None


class PolicyTold(OfOne, frozen=True, kw_only=True):
    """What they would have decided in one stretch of the log. start, end: first entry read, and first not read. size:
    of the log. policy_set: digest of the sets. tally, differences, questions: of this stretch alone."""

    start: int
    end: int
    size: int
    policy_set: str
    tally: Tally
    differences: tuple[Difference, ...]
    questions: QuestionsCompared


POLICY: Final = QuestionKind(
    path="/v1/policy", question=PolicyQuestion, answer=PolicyTold, bytes_max=POLICY_BYTES_MAX
)
