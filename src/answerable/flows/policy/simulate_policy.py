"""Simulate a candidate policy set on the ledger's past decisions, in short turns beside actions."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from answerable.core.approval.approval import ApprovalId
from answerable.core.canonical import encode, parse
from answerable.core.decision.asked import CannotTell
from answerable.core.decision.asked_of_people import (
    QuestionsCompared,
    at_tier,
    checked_tiers,
    groups_in,
)
from answerable.core.decision.compared import Difference, Past, Tally
from answerable.core.ledger.opened import disclosures_of, leaf_of
from answerable.core.ledger.subject_key import key_id_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.parts_form import parts_of_form
from answerable.core.registry.policy_sets.publication import documents_digest
from answerable.errors import AnswerableError, Malformed
from answerable.errors.codes.policy import PUBLICATION_NO_ASKING
from answerable.flows.policy.publish_policy import planned_sets
from answerable.flows.recording.paced_reading import begins_at, in_turns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.compared import Unasked
    from answerable.core.decision.decision import Decision, Effect
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.drill_desk import DrillState
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.clock import Clock
    from answerable.ports.policy_evaluation import PolicyAsking
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.subject_keys import SubjectKeys

PAGE_SECONDS_MAX: Final = 0.5
DIFFERENCES_MAX: Final = 500
"""Differences on one page."""

_NO_TIERS: Final[Mapping[str, JSONValue]] = MappingProxyType({})
DECIDED: Final[dict[int, Effect]] = {Tag.INTENT: "allow", Tag.REFUSAL: "deny", Tag.APPROVAL_ASKED: "defer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of results.

    `start`, `end`: first index read, and first index not read. `size`: of the ledger now. `more`: call again from
    `end`. `tally`, `questions`: of this page alone. `policy_set`: digest of the candidate. `reading`: nothing was
    evaluated yet.
    """

    start: int
    end: int
    size: int
    more: bool
    policy_set: str
    tally: Tally = field(default_factory=Tally)
    differences: tuple[Difference, ...] = ()
    questions: QuestionsCompared = field(default_factory=QuestionsCompared)
    reading: bool = False


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


async def simulate_policy(
    recorder: Recorder,
    authority: AuthorityRegisters,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    documents: Sequence[JSONValue],
    *,
    removed: Sequence[str] = (),
    since: int = 0,
    start: int = 0,
    tiers: Mapping[str, JSONValue] = _NO_TIERS,
) -> Page:
    """Evaluate a candidate on past decisions from an index on, for at most `PAGE_SECONDS_MAX` seconds.

    `since`: Unix milliseconds, for the first page; later pages pass `start`. `tiers`: changed tiers, by capability
    name. Raises Malformed (`registry.faults`, `policy.*`, `simulation.tier`), Refused (`publication.nothing`,
    `publication.unknown`), Unavailable.
    """
    trial = Trial(tiers=checked_tiers(tiers, authority.registry.current.capabilities))
    asking = await _candidate(
        authority.registry, policies, drills, limits, recorder.clock, documents, removed
    )
    ends_at = recorder.clock.monotonic() + PAGE_SECONDS_MAX
    if not await read_declared(recorder, policies, ends_at):
        size = recorder.ledger.size
        return Page(start=start, end=start, size=size, more=True, policy_set=asking.policy_set, reading=True)
    first = start or begins_at(recorder.ledger, since)
    tally, differences, end = Tally(), list[Difference](), first
    async for stored in in_turns(recorder.ledger, recorder.clock, first, ends_at):
        found = compared(
            recorder.subject_keys, authority.approvals, policies, asking, stored, tally, trial=trial
        )
        if found is not None:
            differences.append(found)
        end = stored.index + 1
        if len(differences) >= DIFFERENCES_MAX:
            break
    size = recorder.ledger.size
    return Page(
        start=first,
        end=end,
        size=size,
        more=end < size,
        policy_set=asking.policy_set,
        tally=tally,
        differences=tuple(differences),
        questions=trial.questions,
    )


def compared(
    subject_keys: SubjectKeys,
    approvals: ApprovalRegister,
    policies: PolicyState,
    asking: PolicyAsking,
    stored: StoredEntry,
    tally: Tally,
    *,
    trial: Trial | None = None,
) -> Difference | None:
    """Evaluate the candidate on one entry and count it. Return the difference, if it is a decision and differs."""
    effect = DECIDED.get(stored.tag)
    if effect is None:
        if trial is not None and stored.tag == Tag.MANDATE_ISSUED:
            trial.questions.tasks += 1
        return None
    leaf = leaf_of(stored)
    if _was_test(approvals, stored, leaf):
        return None
    fields, why = fields_asked(subject_keys, stored, leaf)
    if why is not None:
        tally.skip(why)
        return None
    was = past_of(stored.index, leaf, effect, fields)
    counted_by = policies.declared.parts.get(was.policy_set)
    question = fields["question"] if trial is None else at_tier(fields["question"], trial.tiers)
    try:
        found = asking.ask(question, counted_by=counted_by)
    except Malformed:
        tally.skip("unreadable")
        return None
    if trial is not None:
        trial.count(was, leaf, found)
    return tally.add(was, found)


def _was_test(approvals: ApprovalRegister, stored: StoredEntry, leaf: dict[str, JSONValue]) -> bool:
    """Whether the approval was an attention check whose result is announced. Until then it counts as a real one."""
    if stored.tag != Tag.APPROVAL_ASKED:
        return False
    approval = approvals.find(ApprovalId(str(leaf.get("approval"))))
    return approval is not None and bool(approval.told_test)


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
    subject_keys: SubjectKeys, stored: StoredEntry, leaf: dict[str, JSONValue]
) -> tuple[dict[str, bytes], Unasked | None]:
    """Return the opened fields of an entry, with its policy question; or why it cannot be evaluated."""
    if not stored.attachment and leaf.get("_sd"):
        return {}, "erased"
    try:
        fields = disclosures_of(stored, subject_keys.find)
    except AnswerableError:
        return {}, "unreadable"
    if fields is None:
        return {}, "erased" if subject_keys.find(key_id_of(stored.attachment)) is None else "unreadable"
    named = {one.name: bytes(one.value) for one in fields}
    if "question_digest" in named:
        return {}, "not_kept"
    if "question" not in named:
        return {}, "not_asked"
    if stored.tag == Tag.REFUSAL and "hidden" in named:
        # A credential in the arguments was removed, so the rest is not what was evaluated.
        return {}, "hidden"
    return named, None


async def _candidate(
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    documents: Sequence[JSONValue],
    removed: Sequence[str],
) -> PolicyAsking:
    policies.candidate = await candidate(
        registry, policies, drills, limits, clock, policies.candidate, documents, removed
    )
    return policies.candidate[1]


async def candidate(
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    known: tuple[str, PolicyAsking] | None,
    documents: Sequence[JSONValue],
    removed: Sequence[str],
) -> tuple[str, PolicyAsking]:
    """Compile a candidate; return it with the digest of its sources. `known`: an earlier candidate to reuse if equal.

    Raises Malformed (`registry.faults`, `policy.*`), Refused (`publication.unknown`), Unavailable.
    """
    compile_asking = policies.compile_asking
    if compile_asking is None:
        raise PUBLICATION_NO_ASKING()
    given = encode([*documents, {"removed": [*removed]}])
    name = documents_digest({"given": given, "registry": encode(registry.current.digest)})
    if known is not None and known[0] == name:
        return known
    plan = await planned_sets(registry, policies, drills, limits, clock, documents, removed, same=True)
    return name, await to_thread.run_sync(partial(compile_asking, plan.policies, plan.snapshot))


async def read_declared(recorder: Recorder, policies: PolicyState, ends_at: float) -> bool:
    """Read what policy sets declared, continuing from the last call. Return whether the log is read to its end."""
    declared, size = policies.declared, recorder.ledger.size
    async for stored in in_turns(recorder.ledger, recorder.clock, declared.read_to, ends_at):
        declared.read_to = stored.index + 1
        if stored.tag == Tag.POLICY_CHANGE:
            fields = disclosures_of(stored, recorder.subject_keys.find) or ()
            said = next((bytes(one.value) for one in fields if one.name == "declared"), None)
            if said is not None:
                declared.parts[str(leaf_of(stored).get("after"))] = parts_of_form(parse(said))
    return declared.read_to >= size
