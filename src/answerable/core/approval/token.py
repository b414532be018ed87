"""A person's answer on the wire: a JWS in compact form whose header `typ` is `answerable-approval+jwt`.

| claim      | type    | meaning                                                                |
|------------|---------|------------------------------------------------------------------------|
| `iss`      | text    | the person who answers, or `workflow:NAME`; the signing key is theirs  |
| `aud`      | text    | the deployment it is for, exactly one                                  |
| `approval` | text    | the approval's id                                                      |
| `action`   | text    | the action hash, 64 lower-case hex digits                              |
| `rendering`| text    | the rendering hash of the card that was shown, the same                |
| `nonce`    | text    | 32 bytes that the deployment gave for this answer, base64url           |
| `verdict`  | text    | `approve`, `deny` or `break_glass`                                     |
| `reason`   | text    | code of a no, as `reasons` lists them; empty for all others            |
| `comment`  | text    | why, in their words; may be empty                                      |
| `narrower` | text    | with reason `narrower`: values proposed instead, by argument, canonical JSON; else empty |
| `iat_ms`   | integer | Unix milliseconds at which it was signed                               |

Laws: an answer speaks of one approval, one action object and one card of it; for anything else it is worth nothing; an
old answer is no answer; all claims are there and no others. Whether the nonce is still good is for who gave it. Answers
from before there were `reason` and `narrower` are read by whoever checks old records, and by nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.approval.words import words_of
from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.identity.keys.compact_jws import verified_claims
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, answerer_id
from answerable.errors import Malformed, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.words import Words
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey

APPROVAL_TYP: Final = "answerable-approval+jwt"
CLAIMS: Final = (
    "iss", "aud", "approval", "action", "rendering", "nonce", "verdict", "reason", "comment", "narrower", "iat_ms",
)  # fmt: skip
STEP: Final = "approval"
AGE_MILLIS_MAX: Final = 5 * 60 * 1000
"""How old an answer may be when it arrives."""
AHEAD_MILLIS_MAX: Final = 60 * 1000
"""How far the answering person's clock may run ahead of ours."""

Verdict = Literal["approve", "deny", "break_glass"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
_CODE: Final = "approval.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAnswer:
    """What a person or a workflow said about one approval, with the signature checked. at: when they signed, Unix
    milliseconds. nonce: that it was made with."""

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
) -> dict[str, JSONValue]:
    """The claims of an answer to `approval`, over exactly the object and the card that it holds.

    reason, narrower: of a no, as `words_of` takes them. Raises Malformed (`approval.malformed`, `approval.reason`).
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
) -> dict[str, JSONValue]:
    """The claims over these hashes, hex. approval: its id. reason, narrower: as above."""
    words = words_of(verdict, reason=reason, comment=comment, narrower=narrower)
    return {
        "iss": by,
        "aud": audience,
        "approval": approval,
        "action": action,
        "rendering": rendering,
        "nonce": to_base64url(nonce),
        "verdict": verdict,
        "reason": words.reason,
        "comment": words.comment,
        "narrower": words.narrower,
        "iat_ms": at,
    }


def verify_answer(
    token: str,
    *,
    keys_of: Callable[[PrincipalId], Iterable[PublicKey]],
    audience: str,
    approval: Approval,
    now: UnixMillis,
) -> VerifiedAnswer:
    """Verify an answer to this very approval. Whether the person may answer it is for `answered` to say.

    Raises Malformed (`approval.malformed`, `approval.reason`, `name.invalid`) and Unverified (step `approval`:
    `approval.type`, `approval.algorithm`, `approval.key`, `approval.signature`, `approval.audience`, `approval.other`,
    `approval.digest`, `approval.rendering`, `approval.stale`).
    """
    claims = verified_claims(
        token,
        typ=APPROVAL_TYP,
        step=STEP,
        issuer_of=lambda unverified: answerer_id(_text(unverified, "iss")),
        keys_of=lambda issuer: keys_of(PrincipalId(issuer)),
    )
    if claims.keys() != set(CLAIMS):
        odd = sorted(claims.keys() ^ set(CLAIMS))[0]
        raise Malformed(f"claim {shown(odd, 40)} is missing or not known here", code=_CODE)
    if _text(claims, "aud") != audience:
        raise _unverified(
            f"the answer is for {shown(claims['aud'], 60)}, this is {shown(audience, 60)}", "audience"
        )
    if _text(claims, "approval") != approval.id:
        raise _unverified(
            f"the answer is to approval {shown(claims['approval'], 60)}, not to this one", "other"
        )
    if _text(claims, "action") != approval.shown.hex:
        raise _unverified("the answer is about another action than the one that waits", "digest")
    if _text(claims, "rendering") != approval.card.hex:
        raise _unverified("the answer is about another card than the one that is shown here", "rendering")
    at = claims["iat_ms"]
    if type(at) is not int:
        raise Malformed("claim `iat_ms` must be an integer", code=_CODE)
    if not -AHEAD_MILLIS_MAX <= now - at < AGE_MILLIS_MAX:
        seconds = (now - at) // 1000
        message = (
            f"the answer is {seconds} s old, expected less than {AGE_MILLIS_MAX // 1000} s: sign it anew"
        )
        raise _unverified(message, "stale")
    verdict = _verdict(claims)
    said = {name: _text(claims, name) for name in ("reason", "comment", "narrower")}
    if verdict == "deny" and not said["reason"]:
        raise Malformed("claim `reason` of a no must say why", code=_CODE)
    return VerifiedAnswer(
        by=answerer_id(_text(claims, "iss")),
        verdict=verdict,
        words=words_of(verdict, **said),
        at=UnixMillis(at),
        nonce=_nonce(claims),
    )


def _nonce(claims: Mapping[str, JSONValue]) -> bytes:
    nonce = from_base64url_32(_text(claims, "nonce"))
    if nonce is None:
        raise Malformed("claim `nonce` must be 32 bytes, base64url", code=_CODE)
    return nonce


def _verdict(claims: Mapping[str, JSONValue]) -> Verdict:
    match claims["verdict"]:
        case "approve":
            return "approve"
        case "deny":
            return "deny"
        case "break_glass":
            return "break_glass"
    raise Malformed("claim `verdict` must be `approve`, `deny` or `break_glass`", code=_CODE)


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise Malformed(f"claim `{name}` must be text", code=_CODE)
    return value


def _unverified(message: str, fault: str) -> Unverified:
    return Unverified(message, code=f"approval.{fault}", step=STEP)
