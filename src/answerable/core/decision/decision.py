"""Decisions as values, and the rules that combine policy evaluations into one decision.

Laws: any evaluation error is a deny; without a satisfied permit the answer is deny; defer only if every determining
forbid may be lifted by an approval and the set without them allows; an approval lifts only the forbids whose own
requirement it meets, or whose own `@break_glass` names the person who used emergency access; a forbid that an
obligation lifts leaves the obligation in its place, and one that both lift needs both; a decision always names what
determined it and the digest of the policy set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from answerable.core.decision.obligation import duties_of
from answerable.errors import Malformed
from answerable.errors.codes.policy import POLICY_DEFAULT_DENY, POLICY_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.decision.facts import ApprovalFact, Requirement

Effect = Literal["allow", "deny", "defer"]
RULE_PREFIXES: Final = (
    "arguments.", "delegation.", "facts.", "gateway.", "held.", "mandate.", "obligation.", "policy.",
)  # fmt: skip
"""Prefixes of codes of rules, which decide beside the policies: no policy may have such an id."""


class Reason(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One reason of a decision. source: policy id or rule code. text: for everybody, including agents. internal: for
    people only."""

    source: str
    text: str
    internal: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The result of deciding one action. determined_by: ids of the determining policies, or the rule's code. lifted:
    forbids that an approval or an obligation lifted; their reasons come after those of the ids.

    requirements: for defer, who must approve. policy_set: digest of the full set, hex. obligations: without which an
    allow does not count, as `obligation` spells them. joint: requirements of forbids that a narrowing of the arguments
    lifts only together with people, who are asked even if the narrowed action meets no forbid any more. break_glass:
    for defer, of each forbid the groups, joined by `|`, that may run it by emergency access; empty unless all forbids
    name some. question: the evaluated question, as JSON text; empty where none could be built. wider: the decision
    about the action as originally requested, where it was narrowed; its obligations hold, too.
    """

    effect: Effect
    reasons: tuple[Reason, ...]
    determined_by: tuple[str, ...]
    policy_set: str
    requirements: tuple[Requirement, ...] = ()
    lifted: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    joint: tuple[Requirement, ...] = ()
    break_glass: tuple[str, ...] = ()
    question: bytes = b""
    wider: Decision | None = None

    @property
    def all_reasons(self) -> tuple[Reason, ...]:
        """Its own reasons, and those of the decision that narrowed the action."""
        if self.wider is None:
            return self.reasons
        return tuple(dict.fromkeys((*self.wider.reasons, *self.reasons)))

    @property
    def all_obligations(self) -> tuple[str, ...]:
        """Its own obligations, and those of the decision that narrowed the action."""
        if self.wider is None:
            return self.obligations
        return tuple(dict.fromkeys((*self.wider.obligations, *self.obligations)))


def after_narrowing(wider: Decision, decision: Decision, approval: ApprovalFact | None) -> Decision:
    """Return the effective decision about a narrowed action: forbids that also need people still need them.

    wider: the decision that narrowed it. approval: one in force for the narrowed action.
    """
    lacking = tuple(one for one in wider.joint if approval is None or not approval.meets(one))
    if decision.effect == "allow" and lacking:
        decision = msgspec.structs.replace(
            decision,
            effect="defer",
            reasons=wider.reasons,
            determined_by=wider.determined_by,
            requirements=wider.joint,
            lifted=(),
            obligations=(),
            break_glass=(),
        )
    elif decision.effect == "defer":
        requirements = tuple(dict.fromkeys((*decision.requirements, *wider.joint)))
        glass = () if wider.joint else decision.break_glass
        decision = msgspec.structs.replace(decision, requirements=requirements, break_glass=glass)
    return msgspec.structs.replace(decision, wider=wider)


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One answer of the policy engine. allowed is True only for a clean Allow. errors: texts of policies that failed to
    evaluate.

    determining: ids of the satisfied permits (allow) or satisfied forbids (deny); empty for default deny.
    """

    allowed: bool
    determining: tuple[str, ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyNote:
    """A policy's annotations. approve: the approval that may lift this forbid, None if none may. oblige: the
    obligations that may; with both, both are needed. internal: a reason for people only. break_glass: groups, joined by
    `|`, any one of which may lift it without the approval, with a review afterwards."""

    reason: str
    approve: Requirement | None = None
    oblige: tuple[str, ...] = ()
    internal: str = ""
    break_glass: str = ""

    @property
    def liftable(self) -> bool:
        """Whether anything may lift the forbid."""
        return self.approve is not None or bool(self.oblige)


DEFAULT_DENY: Final = POLICY_DEFAULT_DENY.id
"""The determining code of a denial where no policy permits."""
_NOTHING: Final = Reason(source=POLICY_DEFAULT_DENY.id, text="no policy allows this action")


def weigh(
    first: Evaluation,
    *,
    notes: Mapping[str, PolicyNote],
    without: Callable[[tuple[str, ...]], Evaluation],
    approval: ApprovalFact | None,
    policy_set: str,
    question: bytes = b"",
) -> Decision:
    """Combine an evaluation into a decision. `without(ids)` evaluates the set with those policies left out.

    question: the evaluated question, stored with the decision.
    """
    if first.allowed and not first.errors:
        return Decision(
            effect="allow",
            reasons=_reasons(first.determining, notes),
            determined_by=first.determining,
            policy_set=policy_set,
            question=question,
        )
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
                    source=POLICY_ERROR.id, text=f"a policy could not be evaluated: {first.errors[0][:200]}"
                ),
            ),
            ("policy.error",),
            policy_set,
        )
    if not first.determining:
        return _denied((_NOTHING,), (DEFAULT_DENY,), policy_set)
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
    final = [forbid for forbid in forbids if forbid not in notes or not notes[forbid].liftable]
    if final:
        # Forbids that nobody may lift come first, so that nobody waits for an approval that would not help.
        forbids = (*final, *(forbid for forbid in forbids if forbid not in final))
        return _denied(_reasons(forbids, notes), forbids, policy_set)
    rest = without(forbids)
    if rest.errors:
        return _denied(_reasons(forbids, notes), forbids, policy_set)
    if not rest.allowed:
        # The default deny comes first, so that nobody waits for people who could not allow the action either.
        return _denied((_NOTHING, *_reasons(forbids, notes)), (DEFAULT_DENY, *forbids), policy_set)
    lifts = [notes[forbid] for forbid in forbids]
    obligations = tuple(dict.fromkeys(one for note in lifts for one in note.oblige))
    try:
        duties_of(obligations)
    except Malformed as fault:
        why = Reason(source=fault.code, text=fault.message)
        return _denied((why, *_reasons(forbids, notes)), (fault.code, *forbids), policy_set)
    requirements = tuple(dict.fromkeys(note.approve for note in lifts if note.approve is not None))
    joint = tuple(
        dict.fromkeys(
            note.approve for note in lifts if note.approve is not None and duties_of(note.oblige).narrow
        )
    )
    asking = [note for note in lifts if note.approve is not None]
    approved = approval is not None and all(_lifts(approval, note) for note in asking)
    may_break = all(note.break_glass for note in asking) and not joint
    if requirements and not approved:
        return Decision(
            effect="defer",
            reasons=_reasons(forbids, notes),
            determined_by=forbids,
            policy_set=policy_set,
            requirements=requirements,
            obligations=obligations,
            joint=joint,
            break_glass=tuple(dict.fromkeys(note.break_glass for note in asking)) if may_break else (),
        )
    return Decision(
        effect="allow",
        reasons=_reasons((*rest.determining, *forbids), notes),
        determined_by=rest.determining,
        policy_set=policy_set,
        lifted=forbids,
        obligations=obligations,
        joint=joint,
    )


def _lifts(approval: ApprovalFact, note: PolicyNote) -> bool:
    """Whether people lifted this forbid. A forbid that also narrows needs the people that it requires."""
    if note.approve is None or approval.meets(note.approve):
        return True
    return bool(note.break_glass) and not duties_of(note.oblige).narrow and approval.breaks(note.break_glass)


def _reasons(ids: tuple[str, ...], notes: Mapping[str, PolicyNote]) -> tuple[Reason, ...]:
    return tuple(
        [
            Reason(source=i, text=notes[i].reason, internal=notes[i].internal)
            if i in notes
            else Reason(source=i, text=f"policy {i}")
            for i in ids
        ]
    )


def _denied(reasons: tuple[Reason, ...], determined_by: tuple[str, ...], policy_set: str) -> Decision:
    return Decision(effect="deny", reasons=reasons, determined_by=determined_by, policy_set=policy_set)
