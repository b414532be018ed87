"""The review of a broken glass on the wire: a JWS in compact form whose header `typ` is `answerable-review+jwt`.

| claim      | type    | meaning                                                                |
|------------|---------|------------------------------------------------------------------------|
| `iss`      | text    | the person who reviews; the signing key is theirs                      |
| `aud`      | text    | the deployment it is for, exactly one                                  |
| `approval` | text    | the approval's id                                                      |
| `action`   | text    | the action hash, 64 lower-case hex digits                              |
| `answer`   | text    | SHA-256 of the answer that broke the glass, the same                   |
| `verdict`  | text    | `justified` or `unjustified`                                           |
| `comment`  | text    | what the reviewer found                                                |
| `iat_ms`   | integer | Unix milliseconds at which it was signed                               |

Laws: it speaks of one broken glass and what ran by it; an old one is none; all claims are there and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.approval.break_glass import answer_digest
from answerable.core.approval.token import AGE_MILLIS_MAX, AHEAD_MILLIS_MAX
from answerable.core.approval.words import COMMENT_CHARS_MAX
from answerable.core.identity.keys.compact_jws import verified_claims
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, principal_id
from answerable.errors import Malformed, Refused, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.approval.approval import Answer, Approval, Review
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey

REVIEW_TYP: Final = "answerable-review+jwt"
CLAIMS: Final = ("iss", "aud", "approval", "action", "answer", "verdict", "comment", "iat_ms")
STEP: Final = "review"
Judgement = Literal["justified", "unjustified"]
JUDGEMENTS: Final[tuple[Judgement, ...]] = get_args(Judgement)
_CODE: Final = "review.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReview:
    """What a person said, with the signature checked."""

    by: PrincipalId
    verdict: Judgement
    comment: str


def review_claims(
    *,
    approval: str,
    action: str,
    answer: str,
    by: PrincipalId,
    verdict: Judgement,
    comment: str,
    audience: str,
    at: UnixMillis,
) -> dict[str, JSONValue]:
    """The claims of a review. action, answer: hashes, hex."""
    return {
        "iss": by,
        "aud": audience,
        "approval": approval,
        "action": action,
        "answer": answer,
        "verdict": verdict,
        "comment": comment,
        "iat_ms": at,
    }


def verify_review(
    token: str,
    *,
    keys_of: Callable[[PrincipalId], Iterable[PublicKey]],
    audience: str,
    approval: Approval,
    answer: Answer,
    now: UnixMillis,
) -> VerifiedReview:
    """Verify a review of this very broken glass. answer: that broke it. Whether the person may is for `reviewed`.

    Raises Malformed (`review.malformed`, `name.invalid`) and Unverified (step `review`: `review.type`,
    `review.algorithm`, `review.key`, `review.signature`, `review.audience`, `review.other`, `review.stale`).
    """
    claims = verified_claims(
        token,
        typ=REVIEW_TYP,
        step=STEP,
        issuer_of=lambda unverified: principal_id(_text(unverified, "iss")),
        keys_of=lambda issuer: keys_of(PrincipalId(issuer)),
    )
    if claims.keys() != set(CLAIMS):
        odd = sorted(claims.keys() ^ set(CLAIMS))[0]
        raise Malformed(f"claim {shown(odd, 40)} is missing or not known here", code=_CODE)
    if _text(claims, "aud") != audience:
        raise _unverified(f"the review is for {shown(claims['aud'], 60)}, not for here", "audience")
    about = (approval.id, approval.shown.hex, answer_digest(answer))
    if tuple(_text(claims, name) for name in ("approval", "action", "answer")) != about:
        raise _unverified("the review is of another action, or of another answer to it", "other")
    at = claims["iat_ms"]
    if type(at) is not int:
        raise Malformed("claim `iat_ms` must be an integer", code=_CODE)
    if not -AHEAD_MILLIS_MAX <= now - at < AGE_MILLIS_MAX:
        raise _unverified(f"the review is {(now - at) // 1000} s old: sign it anew", "stale")
    comment = _text(claims, "comment")
    if len(comment) > COMMENT_CHARS_MAX:
        raise Malformed(f"a comment has at most {COMMENT_CHARS_MAX} characters", code=_CODE)
    return VerifiedReview(
        by=principal_id(_text(claims, "iss")), verdict=judgement_in(claims["verdict"]), comment=comment
    )


def judgement_in(value: JSONValue) -> Judgement:
    """Raises Malformed (`review.malformed`)."""
    match value:
        case "justified":
            return "justified"
        case "unjustified":
            return "unjustified"
    raise Malformed("a review says `justified` or `unjustified`", code=_CODE)


def check_reviewer(
    approval: Approval, review: Review, *, broken: Answer, groups: Iterable[str], asked: Iterable[str]
) -> None:
    """Whether this person may give the review that is owed. groups: theirs. asked: of whom it may be.

    Raises Refused (`review.done`, `review.own`, `review.not_asked`, `review.no_comment`).
    """
    if approval.review is not None:
        raise Refused(f"{approval.review.by} has reviewed this already", code="review.done")
    if review.by in (broken.by, approval.principal):
        raise Refused(
            "you broke this glass, or gave the task it was broken for: another person reviews it",
            code="review.own",
        )
    if not set(asked) & set(groups):
        raise Refused(
            f"people of {', '.join(sorted(asked))} review this, who could have answered it",
            code="review.not_asked",
        )
    if not review.comment.strip():
        raise Refused("say what you found", code="review.no_comment")


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise Malformed(f"claim `{name}` must be text", code=_CODE)
    return value


def _unverified(message: str, fault: str) -> Unverified:
    return Unverified(message, code=f"review.{fault}", step=STEP)
