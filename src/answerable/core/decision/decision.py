"""Decisions as values, and the rule that turns policy evaluations into one.

Laws: any evaluation error is a deny; without a satisfied permit the answer is deny; defer only if every determining
forbid may be lifted by an approval and the set without them allows; an approval lifts only the forbids whose own
requirement it meets; a decision always names what determined it and the digest of the policy set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.decision.facts import ApprovalFact, Requirement

Effect = Literal["allow", "deny", "defer"]


class Reason(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """source: policy id or rule code. text: what a person reads."""

    source: str
    text: str


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """determined_by: policy ids (or the rule's code) that made it so. lifted: forbids an approval set aside.

    requirements: for defer, who must approve. policy_set: digest of the full set, hex. question: what was asked, as
    JSON text; empty where nothing could be asked.
    """

    effect: Effect
    reasons: tuple[Reason, ...]
    determined_by: tuple[str, ...]
    policy_set: str
    requirements: tuple[Requirement, ...] = ()
    lifted: tuple[str, ...] = ()
    question: bytes = b""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One engine answer. allowed is True only for a clean Allow. errors: texts of policies that failed to evaluate.

    determining: ids of the satisfied permits (allow) or satisfied forbids (deny); empty for default deny.
    """

    allowed: bool
    determining: tuple[str, ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyNote:
    """What a policy's annotations say. approve: the approval that may lift this forbid, None if nothing may."""

    reason: str
    approve: Requirement | None = None


def weigh(
    first: Evaluation,
    *,
    notes: Mapping[str, PolicyNote],
    without: Callable[[tuple[str, ...]], Evaluation],
    approval: ApprovalFact | None,
    policy_set: str,
    question: bytes = b"",
) -> Decision:
    """Turn an evaluation into a decision. `without(ids)` evaluates the set with those policies left out.

    question: what was asked, to be kept with the decision.
    """
    made = _weighed(first, notes=notes, without=without, approval=approval, policy_set=policy_set)
    return msgspec.structs.replace(made, question=question) if question else made


def _weighed(
    first: Evaluation,
    *,
    notes: Mapping[str, PolicyNote],
    without: Callable[[tuple[str, ...]], Evaluation],
    approval: ApprovalFact | None,
    policy_set: str,
) -> Decision:
    if first.errors:
        return _denied(
            (
                Reason(
                    source="policy.error", text=f"a policy could not be evaluated: {first.errors[0][:200]}"
                ),
            ),
            ("policy.error",),
            policy_set,
        )
    if first.allowed:
        return Decision(
            effect="allow",
            reasons=_reasons(first.determining, notes),
            determined_by=first.determining,
            policy_set=policy_set,
        )
    if not first.determining:
        nothing = Reason(source="policy.default_deny", text="no policy allows this action")
        return _denied((nothing,), ("policy.default_deny",), policy_set)
    return _weigh_forbids(first, notes=notes, without=without, approval=approval, policy_set=policy_set)


def _weigh_forbids(
    first: Evaluation,
    *,
    notes: Mapping[str, PolicyNote],
    without: Callable[[tuple[str, ...]], Evaluation],
    approval: ApprovalFact | None,
    policy_set: str,
) -> Decision:
    forbids = first.determining
    requirements: list[Requirement] = []
    final: list[str] = []
    for forbid in forbids:
        note = notes.get(forbid)
        if note is None or note.approve is None:
            final.append(forbid)
        else:
            requirements.append(note.approve)
    if final:
        # What nobody may lift comes first, so that nobody is told to wait for an approval that would not help.
        forbids = (*final, *(forbid for forbid in forbids if forbid not in final))
        return _denied(_reasons(forbids, notes), forbids, policy_set)
    rest = without(forbids)
    if rest.errors or not rest.allowed:
        return _denied(_reasons(forbids, notes), forbids, policy_set)
    if approval is not None and all(approval.meets(requirement) for requirement in requirements):
        return Decision(
            effect="allow",
            reasons=_reasons(rest.determining, notes),
            determined_by=rest.determining,
            policy_set=policy_set,
            lifted=forbids,
        )
    return Decision(
        effect="defer",
        reasons=_reasons(forbids, notes),
        determined_by=forbids,
        policy_set=policy_set,
        requirements=tuple(dict.fromkeys(requirements)),
    )


def _reasons(ids: tuple[str, ...], notes: Mapping[str, PolicyNote]) -> tuple[Reason, ...]:
    return tuple(Reason(source=i, text=notes[i].reason if i in notes else f"policy {i}") for i in ids)


def _denied(reasons: tuple[Reason, ...], determined_by: tuple[str, ...], policy_set: str) -> Decision:
    return Decision(effect="deny", reasons=reasons, determined_by=determined_by, policy_set=policy_set)
