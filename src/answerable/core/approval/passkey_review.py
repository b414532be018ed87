"""A review by passkey: the signed challenge, and the stored text that an outside verifier can check.

    challenge = SHA-256("answerable-review/1" || 0x00 || nonce || action hash || answer hash || verdict || 0x00 ||
                SHA-256(comment))

The stored text is canonical JSON like that of an answer; `typ` is `answerable-review-passkey`, and `answer` the SHA-256
of the answer that used emergency access, hex.

Laws: no answer is valid as a review and no review as an answer, because their challenges begin differently; the comment
is signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from answerable.core.approval.challenge import NONCE_BYTES
from answerable.core.approval.emergency_access import answer_digest
from answerable.core.base64url import from_base64url_32
from answerable.core.canonical import encode, parse
from answerable.core.identity.people.kept_assertion import KeptAssertion, assertion_members, check_kept
from answerable.errors.codes.approval import REVIEW_KEY, REVIEW_MALFORMED

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.approval.review import Judgement
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.identity.people.passkey import Passkey, PasskeyAssertion

DOMAIN: Final = b"answerable-review/1\0"


class _Kept(KeptAssertion, frozen=True, kw_only=True, forbid_unknown_fields=True):
    typ: Literal["answerable-review-passkey"]
    iss: str
    aud: str
    approval: str
    action: str
    answer: str
    verdict: Literal["justified", "unjustified"]
    comment: str
    iat_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReview:
    """A verified review; hashes in hex. key: thumbprint of the passkey."""

    by: str
    audience: str
    approval: str
    action: str
    answer: str
    verdict: Judgement
    comment: str
    key: str


def review_challenge(
    approval: Approval, answer: Answer, *, nonce: bytes, verdict: Judgement, comment: str
) -> bytes:
    """Return the 32 bytes to sign. answer: the one that used emergency access. Raises Malformed
    (`review.malformed`)."""
    about = bytes.fromhex(answer_digest(answer))
    return _challenge(nonce, approval.shown.digest, about, verdict, comment)


def kept_review(
    approval: Approval,
    answer: Answer,
    *,
    by: PrincipalId,
    nonce: bytes,
    verdict: Judgement,
    comment: str,
    audience: str,
    at: UnixMillis,
    passkey: Passkey,
    origins: tuple[str, ...],
    assertion: PasskeyAssertion,
) -> str:
    """Build the stored text of a verified review. Raises Malformed (`json.*`)."""
    members: dict[str, JSONValue] = {
        "typ": "answerable-review-passkey",
        "iss": by,
        "aud": audience,
        "approval": approval.id,
        "action": approval.shown.hex,
        "answer": answer_digest(answer),
        "verdict": verdict,
        "comment": comment,
        "iat_ms": at,
        **assertion_members(passkey, nonce=nonce, origins=origins, assertion=assertion),
    }
    return encode(members).decode()


def verify_kept_review(token: str) -> KeptReview:
    """Verify a stored review: that this passkey signed these hashes, verdict and comment.

    Raises Malformed (`review.malformed`, `passkey.malformed`, `json.*`), Unverified (`passkey.*`, `review.key`).
    """
    try:
        kept = msgspec.convert(parse(token.encode()), _Kept)
    except msgspec.ValidationError as error:
        raise REVIEW_MALFORMED(f"not a review by passkey: {error}".lower()) from None
    nonce, action, answer = from_base64url_32(kept.nonce) or b"", _hash(kept.action), _hash(kept.answer)
    signed = _challenge(nonce, action, answer, kept.verdict, kept.comment)
    other = REVIEW_KEY("its key is not the one it names")
    check_kept(kept, signed, other_key=other)
    return KeptReview(
        by=kept.iss,
        audience=kept.aud,
        approval=kept.approval,
        action=kept.action,
        answer=kept.answer,
        verdict=kept.verdict,
        comment=kept.comment,
        key=kept.key,
    )


def _challenge(nonce: bytes, action: bytes, answer: bytes, verdict: Judgement, comment: str) -> bytes:
    if {len(nonce), len(action), len(answer)} != {NONCE_BYTES}:
        raise REVIEW_MALFORMED("nonce and hashes of a review have 32 bytes each")
    said = verdict.encode() + b"\0" + sha256(comment.encode()).digest()
    return sha256(DOMAIN + nonce + action + answer + said).digest()


def _hash(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise REVIEW_MALFORMED("a hash has 64 lower-case hex digits") from None
