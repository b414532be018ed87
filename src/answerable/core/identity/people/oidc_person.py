"""Verify ID tokens of people, presented by an application that gives a mandate on their behalf (OpenID Connect Core, 2
and 3.1.3.7).

Laws:
- a token counts only for the statement whose digest is its nonce, so that it cannot be presented again for another;
- the token was issued recently, for this deployment alone, and its person logged in recently: a session without end is
 no consent;
- the token is an ID token: access tokens, which many parties hold, are refused.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.workload.oidc_claims import (
    LIFETIME_SECONDS_MAX,
    SKEW_SECONDS,
    SUBJECT_CHARS_MAX,
    IssuerTerms,
    claimed,
    millis,
    verified_token,
)
from answerable.errors import Unverified, shown
from answerable.errors.codes.people import (
    PERSON_ISSUER,
    PERSON_LOGIN,
    PERSON_NONCE,
    PERSON_PARTY,
    PERSON_STALE,
)
from answerable.errors.codes.workloads import OIDC_SUBJECT

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.people.person_issuer import PersonIssuer

FRESH_SECONDS: Final = 300
"""Maximum time between the issue of the token and its presentation."""

_TYPES: Final = frozenset({"jwt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPerson:
    """The person that a verified ID token identifies. logged_in_at: Unix milliseconds."""

    issuer: str
    subject: str
    logged_in_at: UnixMillis


def verified_person(
    token: str, *, key_set: bytes, terms: PersonIssuer, nonce: str, now: UnixMillis
) -> ShownPerson:
    """Verify an ID token under the issuer's JWK Set.

    Raises Malformed (`oidc.malformed`) and Unverified (`oidc.*` as for workloads, `person.nonce`, `person.stale`,
    `person.login`, `person.party`).
    """
    expected = IssuerTerms(
        issuer=terms.issuer, audience=terms.audience, lifetime_seconds_max=LIFETIME_SECONDS_MAX
    )
    claims = verified_token(token, key_set=key_set, terms=expected, now=now, types=_TYPES)
    found = claims.get("nonce")
    if not isinstance(found, str) or not hmac.compare_digest(found.encode(), nonce.encode()):
        raise PERSON_NONCE()
    if claims.get("azp", terms.audience) != terms.audience:
        raise PERSON_PARTY()
    skew = SKEW_SECONDS * 1000
    if now - millis(claims, "iat") > FRESH_SECONDS * 1000 + skew:
        raise PERSON_STALE(f"the ID token is older than {FRESH_SECONDS} seconds: get a new one")
    if "auth_time" not in claims:
        raise PERSON_LOGIN("the ID token has no `auth_time`: request it with `max_age`")
    logged_in = millis(claims, "auth_time")
    if not -skew <= now - logged_in <= terms.login_seconds_max * 1000 + skew:
        raise PERSON_LOGIN(
            f"the person's login is older than {terms.login_seconds_max} seconds: have them log in again"
        )
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX:
        raise OIDC_SUBJECT(f"`sub` is not a text of 1 to {SUBJECT_CHARS_MAX} characters")
    return ShownPerson(issuer=terms.issuer, subject=subject, logged_in_at=logged_in)


def person_in(token: str) -> tuple[str, str]:
    """Return issuer and subject of an ID token that was verified on receipt. Raises Malformed (`oidc.malformed`)."""
    claims = claimed(token)
    return str(claims.get("iss")), str(claims.get("sub"))


def unknown_issuer(issuer: str) -> Unverified:
    """Return the error for a token of an issuer that is not trusted for people."""
    return PERSON_ISSUER(f"issuer {shown(issuer)} is not trusted for people here")


def other_issuer(issuer: str, *, asked: str) -> Unverified:
    """Return the error for a token of one issuer where another issuer was expected."""
    return PERSON_ISSUER(f"issuer of the ID token is {shown(issuer)}, expected {shown(asked)}")
