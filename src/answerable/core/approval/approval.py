"""A deferred action and the answers people gave to it.

Laws: an approval speaks of one action object, one agent and one mandate; it is used once; after `expires_at` it is a
deny; one deny ends it; nobody approves what runs under a mandate they issued themselves; once what would run is not
what was shown it is void.
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
"""Of an approval from before people were shown an object: nobody can answer it, and nothing runs by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person's signed answer. token: the JWS as received, or the evidence of a passkey as canonical JSON, whose
    credential then names it, base64url. groups: the person's groups when they answered, with that in which they stood
    in for somebody. reason: code of a no; empty of a yes, and of answers from before there were codes. narrower: values
    that are proposed instead, by argument, in canonical JSON. workflow: name of the workflow of theirs that answered,
    whose groups these are then; whoever owns it answers for it, so that both count once. in_place_of: for whom; None
    for nobody. opened_at: when this person first had it before them, as far as we know; None where we do not."""

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
        """Whose answer it is in this group: a deputy and who they stand in for are one."""
        place = self.in_place_of
        return place.of if place is not None and place.group == group else self.by


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What another person found of a broken glass. token, credential: as of an Answer."""

    by: PrincipalId
    verdict: Literal["justified", "unjustified"]
    comment: str
    at: UnixMillis
    token: str
    credential: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """action: the frozen value that will run. principal: issuer of the mandate. reasons: why it was deferred.

    subject: whose data the action is about, as the ledger's keys know them; empty for the principal. internal: reasons
    that whoever may answer reads and the agent never does.
    names: what whoever asked acted under, any of which may be revoked; empty for one from before they were kept.
    ended_by: id of the hold that denied it; empty where none did. shown: the action object in its envelope, whose
    digest is the action hash. card: what of it people are shown, whose digest is the rendering hash. void_because: what
    was not as it was shown any more; empty unless it is void. claimed: the agent's own reason, which nothing checks.
    proposed: the narrower action that whoever denied it would rather be asked about; NOTHING_SHOWN where none is.
    review: of the broken glass; None while it is owed, and where none was broken.
    canary: it is a test, which nobody who may answer is told before it has ended; nothing ever runs by it.
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
        """Whether it was asked about this subject's data: else its entries name the action by another pseudonym."""
        return self.subject in ("", subject)

    def state_at(self, now: UnixMillis) -> ApprovalState:
        """The state at `now`: an unanswered or unused approval past its end is expired."""
        if self.state in ("pending", "approved") and now >= self.expires_at:
            return "expired"
        return self.state

    @property
    def told_test(self) -> str:
        """What people are told of a test once it has ended; empty for every other question, and before."""
        return self.canary.sentence if self.canary is not None else ""

    def is_denied_by_people(self, now: UnixMillis) -> bool:
        """Whether somebody said no, and that still holds: until it would have run out."""
        denied = self.state == "denied" and any(one.verdict == "deny" for one in self.answers)
        return denied and now < self.expires_at

    def fact(self, standing: Callable[[Answer], Collection[str]] | None = None) -> ApprovalFact:
        """The approval as a fact for the decision. standing: the groups in which an answer still counts; all that the
        person was in when they answered, if not given."""

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
    """The approval after one more answer.

    Raises Refused: `approval.not_pending`, `approval.own_mandate`, `approval.not_asked`, `approval.answered_already`.
    """
    state = approval.state_at(answer.at)
    if state != "pending":
        raise APPROVAL_NOT_PENDING(f"approval {approval.id} is {state}, so it can no longer be answered")
    place = answer.in_place_of
    own = approval.principal in (answer.by, place.of if place is not None else "")
    if own and answer.verdict == "approve":
        raise APPROVAL_OWN_MANDATE(
            "you issued the mandate this action runs under, or stand in for who did: somebody else must approve it"
        )
    asked = {group for requirement in approval.requirements for group in requirement.groups}
    if not asked.intersection(answer.groups):
        raise APPROVAL_NOT_ASKED(
            f"this approval asks {', '.join(sorted(asked))}; you are in none of these groups"
        )
    mine = [earlier for earlier in approval.answers if earlier.by == answer.by]
    # Their own no stops what their workflow said yes to; a second yes of the same person counts for nothing.
    if any(answer.verdict == "approve" or one.workflow == answer.workflow for one in mine):
        by_workflow = next((one.workflow for one in mine if one.workflow != answer.workflow), None)
        raise APPROVAL_ANSWERED_ALREADY(
            "you have answered this approval already"
            if by_workflow is None
            else f"{answer.by} and the workflows of {answer.by} count once, and one of them has answered already"
        )
    after = replace(approval, answers=(*approval.answers, answer))
    if answer.verdict == "deny":
        return replace(after, state="denied")
    fact = after.fact()
    met = all(fact.meets(requirement) for requirement in approval.requirements)
    return replace(after, state="approved") if met else after
