"""Try policy sets on the recorded decisions, one stretch of entries per question, in the process that answers
searches."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import parse
from answerable.core.decision.compared import Difference, Tally
from answerable.core.ledger.happened import whole
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.search.facts import kind_of
from answerable.core.search.query import Query, Term
from answerable.flows.forensics.search_ledger import named_entry
from answerable.flows.forensics.timed_reading import read_within
from answerable.flows.policy.compare_decisions import Trial, compared, declared_in
from answerable.flows.recording.paced_reading import begins_at
from answerable.flows.registry.apply_registry import policy_text
from answerable.ports.policy_trial import PolicyTold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.registry.documents.policy_parts import PolicyParts
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.policy_evaluation import AskingCompiler, PolicyAsking
    from answerable.ports.policy_trial import PolicyQuestion

STRETCH_SECONDS_MAX: Final = 0.5
"""After this time no further decisions are evaluated for one answer, so that other questions get their turn."""
DIFFERENCES_MAX: Final = 500
"""Differences in one answer."""


def candidate_of(documents: Sequence[str], compile_asking: AskingCompiler) -> PolicyAsking:
    """Compile the policy sets of a registry. Raises Malformed (`registry.faults`, `policy.*`)."""
    snapshot = snapshot_of([parse(text.encode()) for text in documents])
    return compile_asking(policy_text(snapshot), snapshot)


def try_policy(
    teller: StoryTeller, question: PolicyQuestion, asking: PolicyAsking, *, monotonic: Callable[[], float]
) -> PolicyTold:
    """Evaluate `asking` on as many decisions as one answer covers. monotonic: returns seconds. Raises Unavailable, and
    Broken as the index and the log do."""
    log, before, trial = teller.log, _Before(teller), Trial(tiers=question.tiers)
    start = begins_at(log, question.since) if question.start is None else question.start
    tally, differences, end = Tally(), list[Difference](), start
    for stored in read_within(log, start, log.size, seconds=STRETCH_SECONDS_MAX, monotonic=monotonic):
        # Where clocks went back, earlier entries stand among those of the time.
        is_asked = not question.since or whole(leaf_of(stored), "at") >= question.since
        found = compared(before, asking, stored, tally, trial=trial) if is_asked else None
        if found is not None:
            differences.append(found)
        end = stored.index + 1
        if len(differences) >= DIFFERENCES_MAX:
            break
    return PolicyTold(
        start=start,
        end=end,
        size=log.size,
        policy_set=asking.policy_set,
        tally=tally,
        differences=tuple(differences),
        questions=trial.questions,
    )


@dataclass
class _Before:
    """What other entries say, looked up once for each stretch. Implements flows.compare_decisions.KnownBefore."""

    teller: StoryTeller
    _parts: dict[str, PolicyParts | None] = field(default_factory=dict)

    @property
    def find(self) -> FindKey:
        return self.teller.find

    def declared(self, policy_set: str) -> PolicyParts | None:
        if policy_set not in self._parts:
            entry = self._sets.get(policy_set)
            stored = None if entry is None else named_entry(self.teller.log, entry)
            self._parts[policy_set] = None if stored is None else declared_in(stored, self.find)
        return self._parts[policy_set]

    def was_test(self, approval: str) -> bool:
        return approval in self._tests

    @cached_property
    def _sets(self) -> dict[str, int]:
        """The last entry that states each policy set, by its digest."""
        return {str(leaf_of(one).get("after")): one.index for one in self._of_kind(Tag.POLICY_CHANGE)}

    @cached_property
    def _tests(self) -> frozenset[str]:
        return frozenset(str(leaf_of(one).get("approval")) for one in self._of_kind(Tag.CANARY_TOLD))

    def _of_kind(self, tag: Tag) -> Iterator[StoredEntry]:
        wanted = Query(terms=(Term("kind", (kind_of(tag),)),))
        for entry in sorted(one.entry for one in self.teller.index.candidates(wanted, None)):
            yield named_entry(self.teller.log, entry)
