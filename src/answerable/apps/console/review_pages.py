"""Break-glass reviews in the console: list those owed, and record the review that a passkey signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.apps.console.ceremonies import request_options
from answerable.apps.console.desk import answer_json
from answerable.core.approval.approval import Review
from answerable.core.approval.challenge import NONCE_BYTES
from answerable.core.approval.emergency_access import owed_review
from answerable.core.approval.passkey_review import review_challenge
from answerable.core.approval.review import judgement_in
from answerable.core.approval.words import COMMENT_CHARS_MAX
from answerable.core.base64url import to_base64url
from answerable.core.identity.people.passkey import assertion_in, octets_in
from answerable.errors import Refused
from answerable.errors.codes.people import PASSKEY_UNKNOWN
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.approval.owed_reviews import reviews
from answerable.flows.approval.review_emergency_access import (
    check_may_review,
    open_to_review,
    review_by_passkey,
)
from answerable.flows.validity.person_validity import desk_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.documents import Principal
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.clock import Clock


async def open_review(asked: Asked) -> Response:
    """Return what the device is to sign: the challenge over a fresh nonce, what ran, its reason, this verdict and these
    words."""
    body = await asked.members(signed_in=True)
    _, person = asked.who
    verdict, comment = judgement_in(body.get("verdict")), _comment(body)
    nonce, owed, ends = open_to_review(
        asked.walk.authority.approvals,
        asked.walk.asking.openings,
        asked.walk.limits,
        asked.walk.clock,
        asked.walk.entropy,
        asked.request.path_params["id"],
        to=person.name,
    )
    desk = desk_of(asked.walk.asking.passkeys)
    own = desk.register.of(person.name)
    if not own:
        raise PASSKEY_UNKNOWN("you have no passkey yet: add one under Passkeys")
    signed = review_challenge(owed.approval, owed.answer, nonce=nonce, verdict=verdict, comment=comment)
    return answer_json(
        {"nonce": to_base64url(nonce), "options": request_options(desk, signed, own), "ends": ends}
    )


async def review(asked: Asked) -> Response:
    """Record a review that a passkey signed."""
    body = await asked.members(signed_in=True)
    _, person = asked.who
    after = await review_by_passkey(
        asked.walk.recorder,
        asked.walk.authority,
        asked.walk.asking,
        asked.request.path_params["id"],
        person=person.name,
        verdict=judgement_in(body.get("verdict")),
        comment=_comment(body),
        nonce=octets_in(body, "nonce", NONCE_BYTES),
        assertion=assertion_in(body.get("assertion")),
    )
    # The device has just verified the person.
    asked.has_shown()
    return answer_json({"verdict": after.review.verdict if after.review else ""})


def review_shown(
    authority: AuthorityRegisters, limits: WalkLimits, found: Approval, person: Principal
) -> dict[str, Any] | None:
    """Return the review to show on an approval's page, or None without break-glass. The flow decides who may give
    it."""
    owed = owed_review(found, review_ms=limits.glass_review_ms)
    if owed is None:
        return None
    now = authority.clock.now()
    hindrance = ""
    try:
        sample = Review(by=person.name, verdict="justified", comment="looked at", at=now, token="")
        check_may_review(authority, limits, owed, sample)
    except Refused as fault:
        hindrance = fault.message
    return {"state": owed.state(now), "due_at": owed.due_at, "given": found.review, "hindrance": hindrance}


def owed_shown(approvals: ApprovalRegister, limits: WalkLimits, clock: Clock) -> list[dict[str, Any]]:
    """Return the owed reviews for the overview, overdue ones first."""
    now = clock.now()
    return [
        {
            "id": one.approval.id,
            "by": one.answer.by,
            "capability": one.approval.capability,
            "reason": one.answer.comment,
            "due_at": one.due_at,
            "overdue": one.state(now) == "overdue",
        }
        for one in reviews(approvals, limits, clock)
    ]


def _comment(body: dict[str, JSONValue]) -> str:
    comment = body.get("comment", "")
    if not isinstance(comment, str) or len(comment) > COMMENT_CHARS_MAX:
        raise REQUEST_BODY(f"a comment is text of at most {COMMENT_CHARS_MAX} characters")
    return comment.strip()
