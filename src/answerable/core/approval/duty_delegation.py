"""A delegation of duty: a person of a group lets another person stand in for them, for a time, and signs that.

By key file it is a JWS in compact form whose header `typ` is `answerable-duty+jwt`; by passkey what is signed is

    SHA-256("answerable-duty/1" || 0x00 || nonce || SHA-256(canonical JSON of the claims))

| claim      | type    | meaning                                                                     |
|------------|---------|-----------------------------------------------------------------------------|
| `iss`      | text    | the person who is stood in for; the signing key is theirs                   |
| `aud`      | text    | the deployment it is for, exactly one                                       |
| `id`       | text    | of the delegation, chosen by who signs: 22 to 64 characters of base64url    |
| `group`    | text    | in which group                                                              |
| `to`       | text    | the deputy                                                                  |
| `from_ms`  | integer | Unix milliseconds from which it counts                                      |
| `until_ms` | integer | from which it counts no more                                                |
| `reason`   | text    | why, for people; 1 to 500 printable characters on one line                  |
| `iat_ms`   | integer | when it was signed                                                          |

Laws: it has an end; an id counts once; an old one is none; all claims are there and no others; nobody stands in for
themselves; a deputy hands nothing on, for only a member's own right is delegated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.approval.challenge import NONCE_BYTES
from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.identity.keys.compact_jws import read_compact, verified_claims
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, checked_name, principal_id
from answerable.core.registry.documents.duty import DELEGATION_DAYS_MAX
from answerable.errors import Malformed, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.approval.strength import Strength
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey

DUTY_TYP: Final = "answerable-duty+jwt"
DOMAIN: Final = b"answerable-duty/1\0"
STEP: Final = "duty"
CLAIMS: Final = ("iss", "aud", "id", "group", "to", "from_ms", "until_ms", "reason", "iat_ms")
AGE_MILLIS_MAX: Final = 5 * 60 * 1000
"""How old it may be when it arrives."""
AHEAD_MILLIS_MAX: Final = 60 * 1000
"""How far the signer's clock may run ahead of ours."""
REASON_CHARS_MAX: Final = 500
DAY_MILLIS: Final = 86_400_000
LEAD_DAYS_MAX: Final = 90
"""How far ahead it may begin."""

NEVER: Final = UnixMillis(0)

_ID: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")
_CODE: Final = "duty.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyDelegation:
    """of: who is stood in for; to: the deputy. strength: of the signature, so that a weak one lets nobody say yes where
    a strong one is asked for. key: thumbprint of what it is signed with. token: the JWS, or the evidence of a passkey
    as canonical JSON, whose credential then names it. entry, leaf, log: where it stands in the ledger, by index, hash
    and origin; -1 while it does not. ended_at: 0 until it is ended before its time."""

    id: str
    group: str
    of: PrincipalId
    to: PrincipalId
    since: UnixMillis
    until: UnixMillis
    reason: str
    strength: Strength
    key: str
    token: str
    credential: str = ""
    entry: int = -1
    leaf: str = ""
    log: str = ""
    ended_at: UnixMillis = NEVER

    def lasts(self, now: UnixMillis) -> bool:
        """Whether it counts at this moment, as far as it says itself. Its end is not part of it."""
        return not self.ended_at and self.since <= now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyTerms:
    """What is signed; see the claims. at: `iat_ms`."""

    of: PrincipalId
    audience: str
    id: str
    group: str
    to: PrincipalId
    since: UnixMillis
    until: UnixMillis
    reason: str
    at: UnixMillis

    def claims(self) -> dict[str, JSONValue]:
        """As a JSON object."""
        return {
            "iss": self.of,
            "aud": self.audience,
            "id": self.id,
            "group": self.group,
            "to": self.to,
            "from_ms": self.since,
            "until_ms": self.until,
            "reason": self.reason,
            "iat_ms": self.at,
        }


def with_id(terms: DutyTerms) -> DutyTerms:
    """The terms under an id that follows from all the rest: signed twice at the same moment it is still one."""
    digest = sha256(encode(replace(terms, id="").claims())).digest()
    return replace(terms, id=to_base64url(digest))


def terms_in(claims: Mapping[str, JSONValue]) -> DutyTerms:
    """The terms that claims state, each by itself as it must be.

    Raises Malformed (`duty.malformed`, `duty.oneself`, `name.invalid`).
    """
    if claims.keys() != set(CLAIMS):
        odd = sorted(claims.keys() ^ set(CLAIMS))[0]
        raise Malformed(f"claim {shown(odd, 40)} is missing or not known here", code=_CODE)
    terms = DutyTerms(
        of=principal_id(_text(claims, "iss")),
        audience=_text(claims, "aud"),
        id=_text(claims, "id"),
        group=checked_name(_text(claims, "group"), what="group"),
        to=principal_id(_text(claims, "to")),
        since=_millis(claims, "from_ms"),
        until=_millis(claims, "until_ms"),
        reason=_text(claims, "reason"),
        at=_millis(claims, "iat_ms"),
    )
    if not _ID.fullmatch(terms.id):
        raise Malformed("`id` is 22 to 64 characters of base64url", code=_CODE)
    if not 0 < len(terms.reason) <= REASON_CHARS_MAX or not terms.reason.isprintable():
        message = (
            f"a delegation of duty says why, in at most {REASON_CHARS_MAX} printable characters on one line"
        )
        raise Malformed(message, code=_CODE)
    if terms.to == terms.of:
        raise Malformed("nobody stands in for themselves", code="duty.oneself")
    if terms.until <= terms.since:
        raise Malformed("it ends before it begins", code=_CODE)
    return terms


def check_times(terms: DutyTerms, now: UnixMillis, *, days_max: int = DELEGATION_DAYS_MAX) -> None:
    """Whether it was signed just now, for no longer than may be and not for the past.

    Raises Unverified (`duty.stale`), Malformed (`duty.too_long`, `duty.over`).
    """
    if not -AHEAD_MILLIS_MAX <= now - terms.at < AGE_MILLIS_MAX:
        raise Unverified(
            f"it was signed {(now - terms.at) // 1000} s ago, expected less than {AGE_MILLIS_MAX // 1000} s: sign it "
            "anew",
            code="duty.stale",
            step=STEP,
        )
    if terms.until <= now:
        raise Malformed("it is over already: say an `until` that is to come", code="duty.over")
    if terms.since > now + LEAD_DAYS_MAX * DAY_MILLIS:
        raise Malformed(f"it begins more than {LEAD_DAYS_MAX} days from now", code="duty.too_long")
    if terms.until - max(terms.since, now) > days_max * DAY_MILLIS:
        raise Malformed(
            f"it is for more than {days_max} days, which is the longest for this group: give it an earlier end",
            code="duty.too_long",
        )


def verified_duty(
    token: str, *, audience: str, keys_of: Callable[[str], Iterable[PublicKey]]
) -> tuple[DutyTerms, str]:
    """Terms and thumbprint of the key of a delegation that was signed by a key file.

    Raises Malformed (`duty.malformed`, `duty.oneself`, `name.invalid`) and Unverified (step `duty`: `duty.type`,
    `duty.algorithm`, `duty.key`, `duty.signature`, `duty.audience`).
    """
    terms, key = signed_terms(token, keys_of=keys_of)
    check_audience(terms, audience)
    return terms, key


def signed_terms(token: str, *, keys_of: Callable[[str], Iterable[PublicKey]]) -> tuple[DutyTerms, str]:
    """As `verified_duty`, for whichever deployment it is."""
    claims = verified_claims(
        token,
        typ=DUTY_TYP,
        step=STEP,
        issuer_of=lambda unverified: principal_id(_text(unverified, "iss")),
        keys_of=keys_of,
    )
    return terms_in(claims), read_compact(token, step=STEP).header["kid"]


def check_audience(terms: DutyTerms, audience: str) -> None:
    """Raises Unverified (`duty.audience`)."""
    if terms.audience != audience:
        raise Unverified(
            f"it is for {shown(terms.audience, 60)}, this is {shown(audience, 60)}",
            code="duty.audience",
            step=STEP,
        )


def duty_challenge(terms: DutyTerms, nonce: bytes) -> bytes:
    """What a passkey signs, 32 bytes. nonce: 32 bytes of ours. Raises Malformed (`duty.malformed`, `json.*`)."""
    if len(nonce) != NONCE_BYTES:
        raise Malformed(f"a nonce has {NONCE_BYTES} bytes", code=_CODE)
    return sha256(DOMAIN + nonce + sha256(encode(terms.claims())).digest()).digest()


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise Malformed(f"claim `{name}` must be text", code=_CODE)
    return value


def _millis(claims: Mapping[str, JSONValue], name: str) -> UnixMillis:
    value = claims.get(name)
    if type(value) is not int or value < 0:
        raise Malformed(f"claim `{name}` must be an integer", code=_CODE)
    return UnixMillis(value)
