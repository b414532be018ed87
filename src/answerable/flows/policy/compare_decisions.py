"""Evaluate a candidate policy set on one recorded decision, and count how it compares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from answerable.core.canonical import parse
from answerable.core.decision.asked import CannotTell
from answerable.core.decision.asked_of_people import QuestionsCompared, at_tier, groups_in
from answerable.core.decision.compared import Past
from answerable.core.ledger.opened import disclosures_of, leaf_of
from answerable.core.ledger.subject_key import key_id_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.parts_form import parts_of_form
from answerable.errors import AnswerableError, Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.compared import Difference, Tally, Unasked
    from answerable.core.decision.decision import Decision, Effect
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.registry.documents.policy_parts import PolicyParts
    from answerable.ports.policy_evaluation import PolicyAsking

DECIDED: Final[dict[int, Effect]] = {Tag.INTENT: "allow", Tag.REFUSAL: "deny", Tag.APPROVAL_ASKED: "defer"}


class KnownBefore(Protocol):
    """What a comparison needs beside the entry."""

    @property
    def find(self) -> FindKey:
        """Finds the keys of sealed fields."""
        ...

    def declared(self, policy_set: str) -> PolicyParts | None:
        """Return what an earlier policy set declared; None where that is not known."""
        ...

    def was_test(self, approval: str) -> bool:
        """Whether an approval was an attention check whose result is announced."""
        ...


@dataclass(slots=True, kw_only=True)
class Trial:
    """A simulation with changed tiers. `tiers`: by capability. `questions`: approvals, then and by the candidate."""

    tiers: Mapping[str, int]
    questions: QuestionsCompared = field(default_factory=QuestionsCompared)

    def count(self, was: Past, leaf: dict[str, JSONValue], found: Decision | CannotTell) -> None:
        """Count one decision and the candidate's decision."""
        if isinstance(found, CannotTell) or (leaf.get("approval") and was.effect == "allow"):
            # An action allowed by an approval was counted with its deferral.
            return
        tier = leaf.get("tier")
        before = str(tier) if type(tier) is int else ""
        after = str(self.tiers[was.capability]) if was.capability in self.tiers else before
        self.questions.saw(was.at)
        if was.effect == "defer":
            self.questions.before.add(tier=before, rules=was.by, groups=groups_in(leaf))
        if found.effect == "defer":
            asks = [group for one in found.requirements for group in one.groups]
            self.questions.after.add(tier=after, rules=found.determined_by, groups=asks)


def compared(
    known: KnownBefore,
    asking: PolicyAsking,
    stored: StoredEntry,
    tally: Tally,
    *,
    trial: Trial | None = None,
) -> Difference | None:
    """Evaluate the candidate on one entry and count it. Return the difference, if it is a decision and differs.

    Raises Unavailable where a key cannot be looked up, and as `known` does.
    """
    effect = DECIDED.get(stored.tag)
    if effect is None:
        if trial is not None and stored.tag == Tag.MANDATE_ISSUED:
            trial.questions.tasks += 1
        return None
    leaf = leaf_of(stored)
    # An attention check counts as a real approval until its result is announced.
    if stored.tag == Tag.APPROVAL_ASKED and known.was_test(str(leaf.get("approval"))):
        return None
    fields, why = fields_asked(known.find, stored, leaf)
    if why is not None:
        tally.skip(why)
        return None
    was = past_of(stored.index, leaf, effect, fields)
    counted_by = known.declared(was.policy_set)
    question = fields["question"] if trial is None else at_tier(fields["question"], trial.tiers)
    try:
        found = asking.ask(question, counted_by=counted_by)
    except Malformed:
        tally.skip("unreadable")
        return None
    if trial is not None:
        trial.count(was, leaf, found)
    return tally.add(was, found)


def past_of(index: int, leaf: dict[str, JSONValue], effect: Effect, fields: dict[str, bytes]) -> Past:
    """Return the past decision from its leaf and fields."""
    told = leaf.get("decision")
    decision = told if isinstance(told, dict) else leaf
    by, at = decision.get("by"), leaf.get("at")
    under = parse(fields.get("obligations", b"[]"))
    return Past(
        index=index,
        at=at if type(at) is int else 0,
        agent=str(leaf.get("agent", "")),
        capability=str(leaf.get("capability", "")),
        effect=effect,
        by=tuple(str(one) for one in by) if isinstance(by, list) else (),
        policy_set=str(decision.get("policy_set", "")),
        obligations=tuple(str(one) for one in under) if isinstance(under, list) else (),
    )


def fields_asked(
    find: FindKey, stored: StoredEntry, leaf: dict[str, JSONValue]
) -> tuple[dict[str, bytes], Unasked | None]:
    """Return the opened fields of an entry, with its policy question; or why it cannot be evaluated."""
    if not stored.attachment and leaf.get("_sd"):
        return {}, "erased"
    try:
        fields = disclosures_of(stored, find)
    except AnswerableError:
        return {}, "unreadable"
    if fields is None:
        return {}, "erased" if find(key_id_of(stored.attachment)) is None else "unreadable"
    named = {one.name: bytes(one.value) for one in fields}
    if "question_digest" in named:
        return {}, "not_kept"
    if "question" not in named:
        return {}, "not_asked"
    if stored.tag == Tag.REFUSAL and "hidden" in named:
        # A credential in the arguments was removed, so the rest is not what was evaluated.
        return {}, "hidden"
    return named, None


def declared_in(stored: StoredEntry, find: FindKey) -> PolicyParts | None:
    """Return what the policy set of a policy change declares; None where that cannot be read."""
    fields = disclosures_of(stored, find) or ()
    said = next((bytes(one.value) for one in fields if one.name == "declared"), None)
    return None if said is None else parts_of_form(parse(said))
