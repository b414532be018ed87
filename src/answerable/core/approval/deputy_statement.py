"""Delegation of duty: a signed statement by which a group member lets another person answer on their behalf for a time.

By key file it is a JWS in compact form whose header `typ` is `answerable-duty+jwt`; a passkey signs

    SHA-256("answerable-duty/1" || 0x00 || nonce || SHA-256(canonical JSON of the claims))

Laws: a delegation has an end; an id is accepted once; an old statement is refused; all claims are present and no
others; nobody is their own deputy; a deputy cannot delegate further, because only a member's own right is delegated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from answerable.core.approval.challenge import NONCE_BYTES
from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.identity.keys.compact_jws import TokenCodes
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, checked_name, principal_id
from answerable.core.registry.documents.duty import DELEGATION_DAYS_MAX
from answerable.core.statement import Kind, claims_in
from answerable.errors.codes.approval import (
    DUTY_ALGORITHM,
    DUTY_AUDIENCE,
    DUTY_KEY,
    DUTY_MALFORMED,
    DUTY_ONESELF,
    DUTY_OVER,
    DUTY_SIGNATURE,
    DUTY_STALE,
    DUTY_TOO_LONG,
    DUTY_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.approval.assurance_level import AssuranceLevel
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey

DUTY_TYP: Final = "answerable-duty+jwt"
DOMAIN: Final = b"answerable-duty/1\0"
REASON_CHARS_MAX: Final = 500
DAY_MILLIS: Final = 86_400_000
LEAD_DAYS_MAX: Final = 90
"""How many days ahead a delegation may begin."""

NEVER: Final = UnixMillis(0)

_ID: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")


class DutyClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed claims, by key file or by passkey."""

    iss: Annotated[str, Meta(description="who is stood in for")]
    aud: Annotated[str, Meta(description="the log of the deployment, exactly one")]
    id: Annotated[
        str,
        Meta(description="of the delegation, chosen by who signs: 22 to 64 characters of base64url"),
    ]
    group: Annotated[str, Meta(description="in which group")]
    to: Annotated[str, Meta(description="the deputy")]
    from_ms: Annotated[
        int, Meta(description="from when it counts, Unix milliseconds; not earlier than it arrives")
    ]
    until_ms: Annotated[int, Meta(description="from when it counts no more")]
    reason: Annotated[str, Meta(description="why: 1 to 500 printable characters")]
    iat_ms: Annotated[int, Meta(description="when it was signed, Unix milliseconds")]


DUTY: Final = Kind(
    typ=DUTY_TYP,
    codes=TokenCodes(
        malformed=DUTY_MALFORMED,
        type=DUTY_TYPE,
        algorithm=DUTY_ALGORITHM,
        key=DUTY_KEY,
        signature=DUTY_SIGNATURE,
    ),
    what="the delegation of duty",
    form=DutyClaims,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeputyStatement:
    """A stored delegation. of: the represented person; to: the deputy. strength: of the signature, so that a weakly
    signed delegation permits no approval where a strong signature is required. key: thumbprint of the signing key.
    token: the JWS, or the evidence of a passkey as canonical JSON; then credential names the passkey. entry, leaf, log:
    its ledger entry, by index, hash and origin; -1 before there is one. ended_at: 0 until it is ended early."""

    id: str
    group: str
    of: PrincipalId
    to: PrincipalId
    since: UnixMillis
    until: UnixMillis
    reason: str
    strength: AssuranceLevel
    key: str
    token: str
    credential: str = ""
    entry: int = -1
    leaf: str = ""
    log: str = ""
    ended_at: UnixMillis = NEVER

    def lasts(self, now: UnixMillis) -> bool:
        """Whether the delegation is valid at this moment by its own terms. The end itself is excluded."""
        return not self.ended_at and self.since <= now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyTerms:
    """The claims as our types. at: `iat_ms`."""

    of: PrincipalId
    audience: str
    id: str
    group: str
    to: PrincipalId
    since: UnixMillis
    until: UnixMillis
    reason: str
    at: UnixMillis

    def form(self) -> DutyClaims:
        """Return the terms in signed form."""
        return DutyClaims(
            iss=self.of,
            aud=self.audience,
            id=self.id,
            group=self.group,
            to=self.to,
            from_ms=self.since,
            until_ms=self.until,
            reason=self.reason,
            iat_ms=self.at,
        )

    def claims(self) -> dict[str, JSONValue]:
        """Return the same as a JSON object."""
        return claims_in(self.form())


def with_id(terms: DutyTerms) -> DutyTerms:
    """Return the terms with an id derived from all other terms: signed twice at the same moment, the statement is the
    same."""
    digest = sha256(encode(replace(terms, id="").claims())).digest()
    return replace(terms, id=to_base64url(digest))


def terms_in(claims: Mapping[str, JSONValue]) -> DutyTerms:
    """Parse the terms from claims, each checked individually.

    Raises Malformed (`duty.malformed`, `duty.oneself`, `name.invalid`).
    """
    return _terms(DUTY.read(claims))


def check_times(terms: DutyTerms, now: UnixMillis, *, days_max: int = DELEGATION_DAYS_MAX) -> None:
    """Check that the statement was signed recently, for no longer than permitted, and not for the past.

    Raises Unverified (`duty.stale`), Malformed (`duty.too_long`, `duty.over`).
    """
    DUTY.check_age(terms.form(), now, code=DUTY_STALE)
    if terms.until <= now:
        raise DUTY_OVER()
    if terms.since > now + LEAD_DAYS_MAX * DAY_MILLIS:
        raise DUTY_TOO_LONG(f"the delegation of duty begins more than {LEAD_DAYS_MAX} days from now")
    if terms.until - max(terms.since, now) > days_max * DAY_MILLIS:
        raise DUTY_TOO_LONG(
            f"the delegation of duty lasts more than {days_max} days, the limit of this group: give "
            "it an earlier end"
        )


def verified_duty(
    token: str, *, audience: str, keys_of: Callable[[str], Iterable[PublicKey]]
) -> tuple[DutyTerms, str]:
    """Verify a delegation signed by a key file; return its terms and the thumbprint of the key.

    Raises Malformed (`duty.malformed`, `duty.oneself`, `name.invalid`) and Unverified (step `duty`: `duty.type`,
    `duty.algorithm`, `duty.key`, `duty.signature`, `duty.audience`).
    """
    terms, key = signed_terms(token, keys_of=keys_of)
    check_audience(terms, audience)
    return terms, key


def signed_terms(token: str, *, keys_of: Callable[[str], Iterable[PublicKey]]) -> tuple[DutyTerms, str]:
    """Verify like `verified_duty`, for any deployment."""
    claims = DUTY.verified(token, keys_of)
    return _terms(claims), DUTY.key_of(token)


def check_audience(terms: DutyTerms, audience: str) -> None:
    """Check the deployment. Raises Unverified (`duty.audience`)."""
    DUTY.check_audience(terms.form(), audience, code=DUTY_AUDIENCE)


def duty_challenge(terms: DutyTerms, nonce: bytes) -> bytes:
    """Return the 32 bytes that a passkey signs. nonce: 32 bytes of ours. Raises Malformed
    (`duty.malformed`, `json.*`)."""
    if len(nonce) != NONCE_BYTES:
        raise DUTY_MALFORMED(f"a nonce has {NONCE_BYTES} bytes")
    return sha256(DOMAIN + nonce + sha256(encode(terms.claims())).digest()).digest()


def _terms(said: DutyClaims) -> DutyTerms:
    for name in ("from_ms", "until_ms", "iat_ms"):
        if getattr(said, name) < 0:
            raise DUTY_MALFORMED(f"claim `{name}` must be an integer")
    terms = DutyTerms(
        of=principal_id(said.iss),
        audience=said.aud,
        id=said.id,
        group=checked_name(said.group, what="group"),
        to=principal_id(said.to),
        since=UnixMillis(said.from_ms),
        until=UnixMillis(said.until_ms),
        reason=said.reason,
        at=UnixMillis(said.iat_ms),
    )
    if not _ID.fullmatch(terms.id):
        raise DUTY_MALFORMED("`id` is 22 to 64 characters of base64url")
    if not 0 < len(terms.reason) <= REASON_CHARS_MAX or not terms.reason.isprintable():
        raise DUTY_MALFORMED(
            f"`reason` of a delegation of duty must have 1 to {REASON_CHARS_MAX} printable characters "
            "on one line"
        )
    if terms.to == terms.of:
        raise DUTY_ONESELF()
    if terms.until <= terms.since:
        raise DUTY_MALFORMED("the delegation of duty ends before it begins")
    return terms
