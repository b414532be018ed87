"""The signed review of an emergency access: a compact JWS whose header `typ` is `answerable-review+jwt`.

Laws: a review covers one emergency access and what ran by it; an old statement is refused; all claims are present and
no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

from msgspec import Meta, Struct

from answerable.core.approval.emergency_access import answer_digest
from answerable.core.approval.words import COMMENT_CHARS_MAX
from answerable.core.identity.keys.compact_jws import TokenCodes
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.statement import Kind
from answerable.errors.codes.approval import (
    REVIEW_ALGORITHM,
    REVIEW_AUDIENCE,
    REVIEW_DONE,
    REVIEW_KEY,
    REVIEW_MALFORMED,
    REVIEW_NO_COMMENT,
    REVIEW_NOT_ASKED,
    REVIEW_OTHER,
    REVIEW_OWN,
    REVIEW_SIGNATURE,
    REVIEW_STALE,
    REVIEW_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.approval.approval import Answer, Approval, Review
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.names.principal import UnixMillis

REVIEW_TYP: Final = "answerable-review+jwt"
Judgement = Literal["justified", "unjustified"]
JUDGEMENTS: Final[tuple[Judgement, ...]] = get_args(Judgement)


class ReviewClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed claims of a review of an emergency access. verdict: as `judgement_in` reads it."""

    iss: Annotated[str, Meta(description="the person who reviews; the signing key is theirs")]
    aud: Annotated[str, Meta(description="the deployment it is for, exactly one")]
    approval: Annotated[str, Meta(description="the approval's id")]
    action: Annotated[str, Meta(description="the action hash, 64 lower-case hex digits")]
    answer: Annotated[str, Meta(description="SHA-256, hex, of the answer that broke the glass as it is kept")]
    verdict: Annotated[Any, Meta(description="`justified` or `unjustified`", extra={"type": "text"})]
    comment: Annotated[str, Meta(description="what the reviewer found; not empty")]
    iat_ms: Annotated[int, Meta(description="Unix milliseconds at which it was signed")]


REVIEW: Final = Kind(
    typ=REVIEW_TYP,
    codes=TokenCodes(
        malformed=REVIEW_MALFORMED,
        type=REVIEW_TYPE,
        algorithm=REVIEW_ALGORITHM,
        key=REVIEW_KEY,
        signature=REVIEW_SIGNATURE,
    ),
    what="the review",
    form=ReviewClaims,
    elsewhere="{what} has audience {audience}, expected {here}",
    stale="{what} is {age} s old: sign it anew",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReview:
    """A person's review, with the signature verified."""

    by: PrincipalId
    verdict: Judgement
    comment: str


def verify_review(
    token: str,
    *,
    keys_of: Callable[[PrincipalId], Iterable[PublicKey]],
    audience: str,
    approval: Approval,
    answer: Answer,
    now: UnixMillis,
) -> VerifiedReview:
    """Verify a review of exactly this emergency access. answer: the one that used it. `check_reviewer` checks whether
    the person may review.

    Raises Malformed (`review.malformed`, `name.invalid`) and Unverified (step `review`: `review.type`,
    `review.algorithm`, `review.key`, `review.signature`, `review.audience`, `review.other`, `review.stale`).
    """
    claims = REVIEW.verified(token, keys_of)
    REVIEW.check_audience(claims, audience, code=REVIEW_AUDIENCE)
    if (claims.approval, claims.action, claims.answer) != (
        approval.id,
        approval.shown.hex,
        answer_digest(answer),
    ):
        raise REVIEW_OTHER("the review is of another action or another answer")
    REVIEW.check_age(claims, now, code=REVIEW_STALE)
    if len(claims.comment) > COMMENT_CHARS_MAX:
        raise REVIEW_MALFORMED(f"a comment has at most {COMMENT_CHARS_MAX} characters")
    verdict = judgement_in(claims.verdict)
    return VerifiedReview(by=PrincipalId(claims.iss), verdict=verdict, comment=claims.comment)


def judgement_in(value: JSONValue) -> Judgement:
    """Parse a verdict. Raises Malformed (`review.malformed`)."""
    match value:
        case "justified":
            return "justified"
        case "unjustified":
            return "unjustified"
    raise REVIEW_MALFORMED("a review says `justified` or `unjustified`")


def check_reviewer(
    approval: Approval, review: Review, *, broken: Answer, groups: Iterable[str], asked: Iterable[str]
) -> None:
    """Check that this person may give the required review. groups: theirs. asked: the groups that may review.

    Raises Refused (`review.done`, `review.own`, `review.not_asked`, `review.no_comment`).
    """
    if approval.review is not None:
        raise REVIEW_DONE(f"{approval.review.by} has already reviewed this")
    if review.by in (broken.by, approval.principal):
        raise REVIEW_OWN(
            "you used this break-glass access, or issued the mandate of its action: another person "
            "must review it"
        )
    if not set(asked) & set(groups):
        raise REVIEW_NOT_ASKED(
            f"only a member of {', '.join(sorted(asked))} who could have answered this approval may review it"
        )
    if not review.comment.strip():
        raise REVIEW_NO_COMMENT()
