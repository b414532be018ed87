"""Approvals: list deferred actions, show what exactly will run, and record people's signed answers and reviews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from answerable.api import approval_answers as answers
from answerable.api.members import Nothing, Page, Token
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import choice
from answerable.core.approval.approval import NOTHING_SHOWN, ApprovalId, ApprovalState
from answerable.core.approval.chat_click import is_click
from answerable.core.approval.credentials import text_without_credentials, without_credentials
from answerable.core.approval.emergency_access import ReviewState, may_break, owed_review
from answerable.core.approval.typed_name import TYPED_CHARS_MAX
from answerable.core.approval.visible import visible
from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_UNKNOWN
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.approval.open_approval import open_to_answer
from answerable.flows.approval.owed_reviews import reviews
from answerable.flows.approval.review_emergency_access import review_emergency_access
from answerable.flows.approval.typed_names import name_wanted
from answerable.flows.escalation.propose_narrower import asked_as_proposed, narrowable_of

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import FrozenJSON

REVIEWS: Final[tuple[str, ...]] = get_args(ReviewState)
STATES: Final[tuple[str, ...]] = get_args(ApprovalState)
WHOLE: Final = (
    (
        "whole",
        choice("true"),
        "credentials as they are, for whoever is about to sign: else kind and fingerprint",
    ),
)
_APPROVALS: Final = (
    ("state", choice(*STATES), "only approvals that stand so now"),
    ("review", choice(*REVIEWS), "only those whose glass was broken and is reviewed so"),
)


@operation(
    "GET",
    "/v1/approvals",
    id="list_approvals",
    summary="Actions that wait or waited for people, newest first",
    answer=Page[answers.Approval],
    query=_APPROVALS,
)
async def list_approvals(call: Call) -> Page[answers.Approval]:
    """List approvals, newest first; with `state`, those in this state now; with `review`, break-glass ones in this
    review state."""
    state = call.query.get("state")
    if state is not None and state not in STATES:
        raise REQUEST_QUERY(f"state {shown(state)} is not known: use one of {', '.join(STATES)}")
    now = call.walk.clock.now()
    review = call.query.get("review")
    if review is not None:
        if review not in REVIEWS:
            raise REQUEST_QUERY(f"review {shown(review)} is not known: use one of {', '.join(REVIEWS)}")
        known = reviews(
            call.walk.authority.approvals, call.walk.limits, call.walk.clock, open_only=review != "done"
        )
        found = [one.approval for one in known if one.state(now) == review]
        return page_of(call, found, name=lambda one: one.id, render=lambda one: approval_record(call, one))
    every = call.walk.authority.approvals.all(pending_only=state == "pending", now=now)
    wanted = (one for one in every if state in (None, one.state_at(now)))
    return page_of(call, wanted, name=lambda one: one.id, render=lambda one: approval_record(call, one))


@operation(
    "GET",
    "/v1/approvals/{id}",
    id="show_approval",
    summary="One approval, with the exact action that will run",
    answer=answers.Approval,
    query=WHOLE,
)
async def show_approval(call: Call) -> answers.Approval:
    """Return one approval, with the exact frozen action."""
    approval = call.walk.authority.approvals.find(ApprovalId(call.path["id"]))
    if approval is None:
        raise APPROVAL_UNKNOWN(f"there is no approval {shown(call.path['id'])}")
    return approval_record(call, approval)


@operation(
    "POST",
    "/v1/approvals/{id}/nonce",
    id="open_approval",
    summary="A nonce for one answer to this approval",
    answer=answers.Opening,
    body=Nothing,
)
async def open_approval(call: Call) -> answers.Opening:
    """Return a nonce for one answer to this approval, and the hashes that the answer must cover."""
    nonce, approval, ends = open_to_answer(
        call.walk.recorder.ledger,
        call.walk.authority,
        call.walk.asking.openings,
        call.walk.entropy,
        call.path["id"],
    )
    return answers.Opening(
        nonce=to_base64url(nonce),
        action=approval.shown.hex,
        rendering=approval.card.hex,
        ends_at=instant(ends),
    )


@operation(
    "POST",
    "/v1/approvals/{id}/answer",
    id="answer_approval",
    summary="Record a person's signed answer",
    answer=answers.Approval,
    body=answers.SignedAnswer,
)
async def give_answer(call: Call) -> answers.Approval:
    """Record a person's signed answer."""
    body = call.members("token", "typed")
    typed = body.text("typed", chars_max=TYPED_CHARS_MAX) if body.has("typed") else ""
    return approval_record(
        call,
        await answer_approval(
            call.walk.recorder,
            call.walk.authority,
            call.walk.asking,
            call.walk.counters,
            call.path["id"],
            body.text("token"),
            typed=typed,
        ),
    )


@operation(
    "POST",
    "/v1/approvals/{id}/review",
    id="review_glass",
    summary="Record a person's signed review of a break-glass use",
    answer=answers.Approval,
    body=Token,
)
async def give_review(call: Call) -> answers.Approval:
    """Record a person's signed review of a break-glass use."""
    token = call.members("token").text("token")
    return approval_record(
        call,
        await review_emergency_access(
            call.walk.recorder, call.walk.authority, call.walk.asking, call.path["id"], token
        ),
    )


def _review(call: Call, approval: Approval) -> answers.Review | None:
    owed = owed_review(approval, review_ms=call.walk.limits.glass_review_ms)
    if owed is None:
        return None
    given = approval.review
    return answers.Review(
        state=owed.state(call.walk.clock.now()),
        due_at=instant(owed.due_at),
        by=given.by if given else "",
        verdict=given.verdict if given else "",
        comment=given.comment if given else "",
        at=instant(given.at) if given else None,
        token=given.token if given else "",
    )


def approval_record(call: Call, approval: Approval) -> answers.Approval:
    """Return an approval as JSON. With `whole`, the signed values are complete, for a person who is about to sign;
    otherwise each credential is replaced by its kind and a fingerprint."""

    def told(one: FrozenJSON) -> str:
        if call.query.get("whole") == "true":
            return one.bytes.decode()
        return encode(without_credentials(one.thaw(), question=approval.id)).decode()

    mandate = call.walk.authority.mandates.find(approval.mandate)
    followed = asked_as_proposed(call.walk.authority.approvals, call.walk.clock, approval)
    return answers.Approval(
        id=approval.id,
        state=approval.state_at(call.walk.clock.now()),
        agent=approval.agent,
        principal=approval.principal,
        mandate=approval.mandate,
        purpose=mandate.purpose if mandate else "",
        capability=approval.capability,
        action=told(approval.action),
        digest=approval.action.hex,
        object=told(approval.shown),
        card=approval.card.bytes.decode(),
        claimed=visible(text_without_credentials(approval.claimed)),
        name_to_type=name_wanted(call.walk.authority.registry, approval),
        void_because=tuple(approval.void_because),
        ended_by=approval.ended_by,
        test=approval.told_test,
        reasons=tuple(approval.reasons),
        internal=tuple(approval.internal),
        requirements=tuple(
            answers.Requirement(group=one.group, count=one.count) for one in approval.requirements
        ),
        narrowable=tuple(
            answers.NarrowableArgument(
                name=one.name, value=one.value if isinstance(one.value, int) else tuple(one.value)
            )
            for one in narrowable_of(call.walk.authority.registry, approval)
        ),
        proposed=told(approval.proposed) if approval.proposed != NOTHING_SHOWN else "",
        followed_by=followed.id if followed is not None else "",
        answers=tuple(
            answers.AnswerGiven(
                by=answer.by,
                workflow=answer.workflow,
                groups=tuple(answer.groups),
                in_place_of=answer.in_place_of.of if answer.in_place_of is not None else "",
                verdict=answer.verdict,
                signed=not is_click(answer.token),
                reason=answer.reason,
                comment=answer.comment,
                narrower=answer.narrower,
                at=instant(answer.at),
                token=answer.token,
            )
            for answer in approval.answers
        ),
        break_glass=tuple(may_break(approval)),
        review=_review(call, approval),
        created_at=instant(approval.created_at),
        expires_at=instant(approval.expires_at),
        audience=call.walk.recorder.ledger.origin,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    list_approvals,
    show_approval,
    open_approval,
    give_answer,
    give_review,
)
