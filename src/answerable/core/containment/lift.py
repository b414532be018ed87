"""A person's word that a hold be lifted: a JWS in compact form whose header `typ` is `answerable-lift+jwt`.

| claim    | type    | meaning                                                          |
|----------|---------|------------------------------------------------------------------|
| `iss`    | text    | the person who says so; the signing key is theirs                |
| `aud`    | text    | the deployment it is for, exactly one                            |
| `hold`   | text    | the id of the hold                                               |
| `digest` | text    | SHA-256 of the hold as it was placed, 64 lower-case hex digits   |
| `reason` | text    | why it may go on; at least one character                         |
| `iat_ms` | integer | Unix milliseconds at which it was signed                         |

Laws: it speaks of one hold, exactly as it was placed; an old one is none; all claims are there and no others; nobody
lifts what they placed, under whichever key; the same person counts once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from answerable.core.containment.hold import REASON_CHARS_MAX, Agreement
from answerable.core.identity.keys.compact_jws import read_compact, verified_claims
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, principal_id
from answerable.errors import Malformed, Refused, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import Hold
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

LIFT_TYP: Final = "answerable-lift+jwt"
STEP: Final = "lift"
CLAIMS: Final = ("iss", "aud", "hold", "digest", "reason", "iat_ms")
AGE_MILLIS_MAX: Final = 5 * 60 * 1000
"""How old it may be when it arrives."""
AHEAD_MILLIS_MAX: Final = 60 * 1000
"""How far the signer's clock may run ahead of ours."""

_CODE: Final = "lift.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a person is about to sign; see the claims."""

    hold: str
    digest: str
    reason: str


def lift_claims(terms: Terms, *, by: PrincipalId, audience: str, at: UnixMillis) -> dict[str, JSONValue]:
    """What is signed. at: now."""
    return {
        "iss": by,
        "aud": audience,
        "hold": terms.hold,
        "digest": terms.digest,
        "reason": terms.reason,
        "iat_ms": at,
    }


def verified_lift(
    token: str, *, hold: Hold, audience: str, current: RegistrySnapshot, now: UnixMillis
) -> Agreement:
    """Verify a word about this very hold, by today's registry. Whether it counts is for `lifted` to say.

    Raises Malformed (`lift.malformed`, `name.invalid`) and Unverified (step `lift`: `lift.type`, `lift.algorithm`,
    `lift.key`, `lift.signature`, `lift.audience`, `lift.other`, `lift.stale`).
    """
    claims = verified_claims(
        token,
        typ=LIFT_TYP,
        step=STEP,
        issuer_of=lambda unverified: principal_id(_text(unverified, "iss")),
        keys_of=current.person_keys,
    )
    if claims.keys() != set(CLAIMS):
        odd = sorted(claims.keys() ^ set(CLAIMS))[0]
        raise Malformed(f"claim {shown(odd, 40)} is missing or not known here", code=_CODE)
    if _text(claims, "aud") != audience:
        message = f"the lift is for {shown(claims['aud'], 60)}, this is {shown(audience, 60)}"
        raise _unverified(message, "audience")
    if (_text(claims, "hold"), _text(claims, "digest")) != (hold.id, hold.digest):
        raise _unverified("the lift is of another hold than this one: look at it again", "other")
    at = claims["iat_ms"]
    if type(at) is not int:
        raise Malformed("claim `iat_ms` must be an integer", code=_CODE)
    if not -AHEAD_MILLIS_MAX <= now - at < AGE_MILLIS_MAX:
        most = AGE_MILLIS_MAX // 1000
        message = f"the lift was signed {(now - at) // 1000} s ago, expected less than {most} s: sign it anew"
        raise _unverified(message, "stale")
    reason = _text(claims, "reason")
    if not 0 < len(reason) <= REASON_CHARS_MAX or not reason.isprintable():
        message = f"a lift says why, in at most {REASON_CHARS_MAX} printable characters on one line"
        raise Malformed(message, code=_CODE)
    return Agreement(
        by=principal_id(_text(claims, "iss")),
        key=read_compact(token, step=STEP).header["kid"],
        reason=reason,
        at=now,
        token=token,
    )


def lifted(hold: Hold, agreement: Agreement, *, current: RegistrySnapshot) -> Hold:
    """The hold with one more person's word; lifted, once there are enough.

    Raises Refused: `hold.lifted_already`, `hold.own`, `hold.agreed_already`.
    """
    if hold.lifted_at:
        raise Refused(f"hold {hold.id} has been lifted already", code="hold.lifted_already")
    if agreement.by == hold.by:
        raise Refused("you placed this hold: somebody else must lift it", code="hold.own")
    for earlier in hold.agreed:
        if earlier.by == agreement.by or _keys(current, earlier) & _keys(current, agreement):
            raise Refused("you have agreed already: somebody else must, too", code="hold.agreed_already")
    agreed = (*hold.agreed, agreement)
    enough = len(agreed) >= hold.persons_to_lift
    return replace(hold, agreed=agreed, lifted_at=max(agreement.at, 1) if enough else 0)


def _keys(current: RegistrySnapshot, agreement: Agreement) -> set[str]:
    """Everything that this person could have signed with."""
    return {agreement.key, *(one.thumbprint for one in current.person_keys(agreement.by))}


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise Malformed(f"claim `{name}` must be text", code=_CODE)
    return value


def _unverified(message: str, fault: str) -> Unverified:
    return Unverified(message, code=f"lift.{fault}", step=STEP)
