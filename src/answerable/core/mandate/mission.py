"""Compute the integrity anchors of a mandate: one digest of its intent (the task), and one of its authority.

The construction is that of Mission-Bound Authorization (draft-mcguinness-oauth-mission, section "Integrity Anchors"):
`sha-256:` and base64url of SHA-256 over the canonical JSON (RFC 8785) of `{"iss", "typ", "value"}`. The issuer is the
deployment that a mandate is for, as in its `aud`.

Laws: both digests follow from the signed claims alone, so that anybody who has the token can compute them; every claim
is in one of them or states who, where and when; a new claim is treated as a bound, and belongs to the authority.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.mandate.caveat import to_wire
from answerable.core.mandate.mandate import END_OF_TIME
from answerable.core.mandate.token import claims_of

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.mandate import MandateTerms

INTENT: Final = "mission-intent"
AUTHORITY_SET: Final = "mission-authority-set"
TERMS: Final = "answerable-mandate-terms"
"""Type of the anchor that a person's ID token is bound to. The name is ours, as the draft requires for types that it
does not define."""
GRANT_TYPE: Final = "answerable_grant"

_OUTSIDE_AUTHORITY: Final = frozenset(
    {"iss", "aud", "jti", "use_case", "purpose", "grants", "caveats", "application", "id_token"}
)


def anchor(typ: str, *, issuer: str, value: JSONValue) -> str:
    """Return `sha-256:…` over the envelope. Raises Malformed (`json.*`) for a value without a canonical form."""
    octets = encode({"iss": issuer, "typ": typ, "value": value})
    return f"sha-256:{to_base64url(sha256(octets).digest())}"


def intent_of(terms: MandateTerms, *, audience: str) -> dict[str, JSONValue]:
    """Build the Mission Intent: the goal, the resource, the expiry, and the use case.

    `resources` names the deployment that guards the systems; which systems the agent may reach is part of the
    authority.
    """
    resources: list[JSONValue] = [f"answerable:{audience}"]
    context: dict[str, JSONValue] = {"use_case": terms.use_case}
    return {
        "goal": terms.purpose,
        "resources": resources,
        "mission_expiry": _instant(terms.expires_at),
        "context": context,
    }


def authority_set_of(terms: MandateTerms, *, audience: str) -> list[JSONValue]:
    """Build the authority set: one self-contained entry a grant, with the capability, all caveats that apply to it, and
    the bounds of the mandate: principal, number of calls, validity window, and how far it may be handed on."""
    claims = claims_of(terms, audience=audience)
    bounds: dict[str, JSONValue] = {
        name: value for name, value in claims.items() if name not in _OUTSIDE_AUTHORITY
    }
    entries: list[JSONValue] = []
    for grant in terms.grants:
        caveats: list[JSONValue] = [to_wire(caveat) for caveat in (*grant.caveats, *terms.caveats)]
        entries.append(
            {"type": GRANT_TYPE, "capability": grant.capability, "caveats": caveats, "bounds": bounds}
        )
    return entries


def intent_hash(terms: MandateTerms, *, audience: str) -> str:
    """Return the draft's `intent_hash`."""
    return anchor(INTENT, issuer=audience, value=intent_of(terms, audience=audience))


def authority_hash(terms: MandateTerms, *, audience: str) -> str:
    """Return the draft's `authority_hash`."""
    return anchor(AUTHORITY_SET, issuer=audience, value=authority_set_of(terms, audience=audience))


def terms_nonce(terms: MandateTerms, *, audience: str) -> str:
    """Return the nonce that an ID token must contain to prove that its person consents to exactly these terms.

    The nonce covers every claim except the ID token itself, the mandate's id and the application included.
    """
    claims = claims_of(terms, audience=audience)
    claims.pop("id_token", None)
    return anchor(TERMS, issuer=audience, value=claims)


def _instant(milliseconds: int) -> str:
    """Format as RFC 3339 in UTC, with milliseconds only if they are not zero."""
    # `datetime` cannot represent years after 9999.
    milliseconds = min(milliseconds, END_OF_TIME - 1)
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    whole = milliseconds % 1000 == 0
    return when.isoformat(timespec="seconds" if whole else "milliseconds").replace("+00:00", "Z")
