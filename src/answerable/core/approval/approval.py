"""An approval: a deferred action, its state, and the answers people gave.

Laws: an approval covers one action object, one agent and one mandate; it is used once; after `expires_at` it is a deny;
one denial ends it; nobody approves an action under a mandate that they issued themselves; once the action that would
run differs from what was shown, the approval is void.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NewType

from answerable.core.canonical import FrozenJSON, freeze
from answerable.core.decision.facts import ApprovalFact
from answerable.errors.codes.approval import (
    APPROVAL_ANSWERED_ALREADY,
    APPROVAL_NOT_ASKED,
    APPROVAL_NOT_PENDING,
    APPROVAL_OWN_MANDATE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from answerable.core.approval.attention_check import AttentionCheck
    from answerable.core.approval.on_behalf_of import OnBehalfOf
    from answerable.core.decision.facts import Requirement
    from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
    from answerable.core.mandate.mandate import MandateId
    from answerable.core.mandate.revocation import RevocationTarget

ApprovalId = NewType("ApprovalId", str)
ApprovalState = Literal["pending", "approved", "denied", "expired", "used", "void"]
NOTHING_SHOWN: Final = freeze({})
"""Of an approval from before objects were shown: nobody can answer it, and it allows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person's signed answer. token: the JWS as received, or the evidence of a passkey as canonical JSON; then
    credential names the passkey, base64url. groups: the person's groups at the time of the answer, including the group
    in which they were deputy. reason: code of a denial; empty for an approval, and for answers from before codes
    existed. narrower: values proposed instead, by argument, in canonical JSON. workflow: name of the person's workflow
    that answered, whose groups these are then; its owner answers for it, so that both count as one. in_place_of: on
    whose behalf; None for their own. opened_at: when this person first opened the approval; None where unknown."""

    by: PrincipalId
    groups: tuple[str, ...]
    verdict: Literal["approve", "deny", "break_glass"]
    comment: str
    at: UnixMillis
    token: str
    credential: str = ""
    workflow: str = ""
    reason: str = ""
    narrower: str = ""
    in_place_of: OnBehalfOf | None = None
    opened_at: UnixMillis | None = None

    def counted_as(self, group: str) -> PrincipalId:
        """Return the person this answer counts for in the group: a deputy and the person they represent are one."""
        place = self.in_place_of
        return place.of if place is not None and place.group == group else self.by


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Another person's review of an emergency access. token, credential: as of an Answer."""

    by: PrincipalId
    verdict: Literal["justified", "unjustified"]
    comment: str
    at: UnixMillis
    token: str
    credential: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A deferred action. action: the frozen value that will run. principal: issuer of the mandate. reasons: why it was
    deferred.

    subject: the data subject of the action, as the ledger's keys know them; empty for the principal. internal: reasons
    shown to those who may answer and never to the agent.

    names: what the requesting agent acted under, any of which may be revoked; empty in approvals from before names were
    stored. ended_by: id of the hold that denied it; empty where none did. shown: the action object in its envelope,
    whose digest is the action hash. card: the rendering of the object for people, whose digest is the rendering hash.
    void_because: what differed from what was shown; empty unless it is void. claimed: the agent's own, unverified
    reason. proposed: the narrower action that the denying person proposed; NOTHING_SHOWN where none. review: of the
    emergency access; None while it is due, and where there was none.

    canary: set for a test, which is not revealed to those who may answer before it has ended; it never allows anything.
    """

    id: ApprovalId
    agent: AgentId
    mandate: MandateId
    principal: PrincipalId
    capability: str
    action: FrozenJSON
    requirements: tuple[Requirement, ...]
    reasons: tuple[str, ...]
    created_at: UnixMillis
    expires_at: UnixMillis
    state: ApprovalState = "pending"
    answers: tuple[Answer, ...] = ()
    subject: str = ""
    internal: tuple[str, ...] = ()
    names: tuple[RevocationTarget, ...] = ()
    ended_by: str = ""
    shown: FrozenJSON = NOTHING_SHOWN
    card: FrozenJSON = NOTHING_SHOWN
    void_because: tuple[str, ...] = ()
    claimed: str = ""
    proposed: FrozenJSON = NOTHING_SHOWN
    review: Review | None = None
    canary: AttentionCheck | None = None

    def is_about(self, subject: str) -> bool:
        """Whether the approval concerns this subject's data: otherwise its entries name the action by another
        pseudonym."""
        return self.subject in ("", subject)

    def state_at(self, now: UnixMillis) -> ApprovalState:
        """Return the state at `now`: a pending or approved approval past its end is expired."""
        if self.state in ("pending", "approved") and now >= self.expires_at:
            return "expired"
        return self.state

    @property
    def told_test(self) -> str:
        """The description of a test after its end; empty for every other approval, and before the end."""
        return self.canary.sentence if self.canary is not None else ""

    def is_denied_by_people(self, now: UnixMillis) -> bool:
        """Whether a person's denial is in force: until the approval would have expired."""
        denied = self.state == "denied" and any(one.verdict == "deny" for one in self.answers)
        return denied and now < self.expires_at

    def fact(self, standing: Callable[[Answer], Collection[str]] | None = None) -> ApprovalFact:
        """Return the approval as a fact for the decision. standing: returns the groups in which an answer still counts;
        by default all groups that the person had when they answered."""

        def pairs(verdict: str) -> tuple[tuple[str, PrincipalId], ...]:
            return tuple(
                (group, answer.counted_as(group))
                for answer in self.answers
                if answer.verdict == verdict
                for group in answer.groups
                if standing is None or group in standing(answer)
            )

        return ApprovalFact(id=self.id, answered_by=pairs("approve"), glass=pairs("break_glass"))


def answered(approval: Approval, answer: Answer) -> Approval:
    """Return the approval after one more answer.

    Raises Refused: `approval.not_pending`, `approval.own_mandate`, `approval.not_asked`, `approval.answered_already`.
    """
    state = approval.state_at(answer.at)
    if state != "pending":
        raise APPROVAL_NOT_PENDING(f"approval {approval.id} is {state}, so it can no longer be answered")
    place = answer.in_place_of
    own = approval.principal in (answer.by, place.of if place is not None else "")
    if own and answer.verdict == "approve":
        raise APPROVAL_OWN_MANDATE(
            "you issued the mandate of this action, or are a deputy of its issuer: another person "
            "must approve it"
        )
    asked = {group for requirement in approval.requirements for group in requirement.groups}
    if not asked.intersection(answer.groups):
        raise APPROVAL_NOT_ASKED(
            f"this approval needs a member of {', '.join(sorted(asked))}, and you are in none of these groups"
        )
    mine = [earlier for earlier in approval.answers if earlier.by == answer.by]
    # A person's own denial overrides the approval by their workflow; a second approval of the same person does not
    # count.
    if any(answer.verdict == "approve" or one.workflow == answer.workflow for one in mine):
        by_workflow = next((one.workflow for one in mine if one.workflow != answer.workflow), None)
        raise APPROVAL_ANSWERED_ALREADY(
            "you have already answered this approval"
            if by_workflow is None
            else (
                f"{answer.by} and the workflows of {answer.by} count as one, and one of them has already "
                "answered"
            )
        )
    after = replace(approval, answers=(*approval.answers, answer))
    if answer.verdict == "deny":
        return replace(after, state="denied")
    fact = after.fact()
    met = all(fact.meets(requirement) for requirement in approval.requirements)
    return replace(after, state="approved") if met else after
