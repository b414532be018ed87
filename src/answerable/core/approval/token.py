"""The signed answer of a person or workflow to one approval: a compact JWS whose header `typ` is
`answerable-approval+jwt`.

Laws: an answer covers one approval, one action object and one card of it, and is worthless for anything else; an old
answer is refused; all claims are present and no others. The issuer of the nonce checks whether it is still valid.
Answers from before `reason` and `narrower` existed are read only when old records are checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

from answerable.core.approval.words import words_of
from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.identity.keys.compact_jws import TokenCodes
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, answerer_id
from answerable.core.statement import Kind
from answerable.errors import shown
from answerable.errors.codes.approval import (
    APPROVAL_ALGORITHM,
    APPROVAL_AUDIENCE,
    APPROVAL_DIGEST,
    APPROVAL_KEY,
    APPROVAL_MALFORMED,
    APPROVAL_OTHER,
    APPROVAL_RENDERING,
    APPROVAL_SIGNATURE,
    APPROVAL_STALE,
    APPROVAL_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.words import Words
    from answerable.core.identity.keys.keys import PublicKey

APPROVAL_TYP: Final = "answerable-approval+jwt"

Verdict = Literal["approve", "deny", "break_glass"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)


class AnswerClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims that a person or a workflow signs to answer one approval."""

    iss: Annotated[str, Meta(description="the person who answers; the signing key is theirs")]
    aud: Annotated[str, Meta(description="the deployment it is for, exactly one")]
    approval: Annotated[str, Meta(description="the approval's id")]
    action: Annotated[
        str,
        Meta(
            description="the action hash: SHA-256 of the action object in its envelope (RFC 8785 bytes), 64 lower-case "
            "hex digits"
        ),
    ]
    rendering: Annotated[
        str,
        Meta(description="the rendering hash: SHA-256 of the card that was shown (RFC 8785 bytes), the same"),
    ]
    nonce: Annotated[
        str,
        Meta(
            description="32 bytes that the deployment gave for this answer (`POST /v1/approvals/{id}/nonce`), "
            "base64url; good once, for five minutes"
        ),
    ]
    verdict: Annotated[Verdict, Meta(description="`approve` or `deny`")]
    reason: Annotated[
        str,
        Meta(
            description="of a no the code of its reason: `wrong_target`, `too_much`, `not_now`, `not_needed`, "
            "`needs_more_information`, `suspicious`, `narrower` or `other`; empty for a yes"
        ),
    ]
    comment: Annotated[
        str, Meta(description="why, in the person's words; at most 1000 characters, may be empty")
    ]
    narrower: Annotated[
        str,
        Meta(
            description="with reason `narrower`, and only with it: the values that are proposed instead, by the "
            "registry's names of arguments, as RFC 8785 JSON of at most 40,000 characters; else empty"
        ),
    ]
    iat_ms: Annotated[int, Meta(description="Unix milliseconds at which it was signed")]


STALE_ANSWER: Final = "{what} is {age} s old, expected less than {limit} s: sign it anew"
ANSWER: Final = Kind(
    typ=APPROVAL_TYP,
    codes=TokenCodes(
        malformed=APPROVAL_MALFORMED,
        type=APPROVAL_TYPE,
        algorithm=APPROVAL_ALGORITHM,
        key=APPROVAL_KEY,
        signature=APPROVAL_SIGNATURE,
    ),
    what="the answer",
    form=AnswerClaims,
    signer=answerer_id,
    stale=STALE_ANSWER,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAnswer:
    """An answer of a person or a workflow to one approval, with the signature verified. at: when they signed, Unix
    milliseconds. nonce: the one it was made with."""

    by: PrincipalId
    verdict: Verdict
    words: Words
    at: UnixMillis
    nonce: bytes


def answer_claims(
    approval: Approval,
    *,
    nonce: bytes,
    by: PrincipalId,
    verdict: Verdict,
    comment: str,
    audience: str,
    at: UnixMillis,
    reason: str = "",
    narrower: str = "",
) -> AnswerClaims:
    """Build the claims of an answer to `approval`, over exactly the object and the card that it holds.

    reason, narrower: of a denial, as `words_of` takes them. Raises Malformed (`approval.malformed`, `approval.reason`).
    """
    return bound_claims(
        approval.id,
        action=approval.shown.hex,
        rendering=approval.card.hex,
        nonce=nonce,
        by=by,
        verdict=verdict,
        comment=comment,
        audience=audience,
        at=at,
        reason=reason,
        narrower=narrower,
    )


def bound_claims(
    approval: str,
    *,
    action: str,
    rendering: str,
    nonce: bytes,
    by: PrincipalId,
    verdict: Verdict,
    comment: str,
    audience: str,
    at: UnixMillis,
    reason: str = "",
    narrower: str = "",
) -> AnswerClaims:
    """Build the claims over these hashes, hex. approval: its id. reason, narrower: as in `answer_claims`."""
    words = words_of(verdict, reason=reason, comment=comment, narrower=narrower)
    return AnswerClaims(
        iss=by,
        aud=audience,
        approval=approval,
        action=action,
        rendering=rendering,
        nonce=to_base64url(nonce),
        verdict=verdict,
        reason=words.reason,
        comment=words.comment,
        narrower=words.narrower,
        iat_ms=at,
    )


def verify_answer(
    token: str,
    *,
    keys_of: Callable[[PrincipalId], Iterable[PublicKey]],
    audience: str,
    approval: Approval,
    now: UnixMillis,
) -> VerifiedAnswer:
    """Verify an answer to exactly this approval. `answered` checks whether the person may answer it.

    Raises Malformed (`approval.malformed`, `approval.reason`, `name.invalid`) and Unverified (step `approval`:
    `approval.type`, `approval.algorithm`, `approval.key`, `approval.signature`, `approval.audience`, `approval.other`,
    `approval.digest`, `approval.rendering`, `approval.stale`).
    """
    claims = ANSWER.verified(token, keys_of)
    ANSWER.check_audience(claims, audience, code=APPROVAL_AUDIENCE)
    if claims.approval != approval.id:
        raise APPROVAL_OTHER(f"the answer is to approval {shown(claims.approval, 60)}, not to this one")
    if claims.action != approval.shown.hex:
        raise APPROVAL_DIGEST("the answer is about another action than the waiting one")
    if claims.rendering != approval.card.hex:
        raise APPROVAL_RENDERING("the answer is about another card than the one shown here")
    ANSWER.check_age(claims, now, code=APPROVAL_STALE)
    if claims.verdict == "deny" and not claims.reason:
        raise APPROVAL_MALFORMED("claim `reason` of a denial must not be empty")
    words = words_of(claims.verdict, reason=claims.reason, comment=claims.comment, narrower=claims.narrower)
    nonce = from_base64url_32(claims.nonce)
    if nonce is None:
        raise APPROVAL_MALFORMED("claim `nonce` must be 32 bytes, base64url")
    return VerifiedAnswer(
        by=PrincipalId(claims.iss),
        verdict=claims.verdict,
        words=words,
        at=UnixMillis(claims.iat_ms),
        nonce=nonce,
    )
