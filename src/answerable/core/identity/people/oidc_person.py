"""ID tokens of people, shown by an application that gives a mandate for them (OpenID Connect Core, 2 and 3.1.3.7).

Laws:
- a token counts for the one statement whose digest is its nonce, so that it cannot be shown again for another;
- it was just made, for us alone, and its person logged in not too long ago: who stays logged in for ever consents to
  nothing;
- it is an ID token: an access token, which many hold, is none.
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
"""From when the provider made the token to when it is shown here."""

_TYPES: Final = frozenset({"jwt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPerson:
    """Whom a verified ID token is about. logged_in_at: Unix milliseconds."""

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
        raise PERSON_LOGIN("the ID token does not say when its person logged in: ask with `max_age`")
    logged_in = millis(claims, "auth_time")
    if not -skew <= now - logged_in <= terms.login_seconds_max * 1000 + skew:
        raise PERSON_LOGIN(f"the person did not log in within {terms.login_seconds_max} seconds: ask them to")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX:
        raise OIDC_SUBJECT(f"`sub` is not a text of 1 to {SUBJECT_CHARS_MAX} characters")
    return ShownPerson(issuer=terms.issuer, subject=subject, logged_in_at=logged_in)


def person_in(token: str) -> tuple[str, str]:
    """Issuer and subject of an ID token that was verified when it was taken in. Raises Malformed (`oidc.malformed`)."""
    claims = claimed(token)
    return str(claims.get("iss")), str(claims.get("sub"))


def unknown_issuer(issuer: str) -> Unverified:
    """What to raise for a token of an issuer whose people are not believed."""
    return PERSON_ISSUER(f"people of issuer {shown(issuer)} are not believed here")


def other_issuer(issuer: str, *, asked: str) -> Unverified:
    """What to raise for a token of one issuer where another one was asked for it."""
    return PERSON_ISSUER(f"{shown(asked)} was asked, and the ID token is one of {shown(issuer)}")
