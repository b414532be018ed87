"""Common parts of JWT-SVIDs and WIT-SVIDs: parse a token, find its key, and check its validity period.

Laws: a token is parsed strictly before anything in it is trusted; the key comes from the bundle of the trust domain in
`sub`, by `kid`, and from the list for this kind of token alone; a token without expiry is refused.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import Limits, encode, parse
from answerable.core.identity.keys.compact_jws import PAYLOAD_DEPTH_MAX, TOKEN_CHARS_MAX, read_compact
from answerable.core.identity.names import spiffe_terms as terms
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain, spiffe_id
from answerable.core.identity.svid.svid_keys import KID_CHARS_MAX, check_token, signed_token
from answerable.errors import Malformed, shown
from answerable.errors.codes.identity import (
    SVID_EXPIRED,
    SVID_ID,
    SVID_ISSUE,
    SVID_KID,
    SVID_MALFORMED,
    SVID_NOT_YET_VALID,
    SVID_TRUST_DOMAIN,
    SVID_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.compact_jws import CompactJWS
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.identity.workload.instance import ShownManifest

SKEW_MILLIS: Final = 30_000
"""How far an issuer's clock may be ahead of ours for `nbf`. An expiry has no leeway."""
SECONDS_MAX: Final = 253_402_300_799
"""9999-12-31T23:59:59Z: a later time in a token is an error."""


def read_header(token: str, *, types: frozenset[str], needs_type: bool) -> CompactJWS:
    """Parse a token whose header has `alg`, `kid` and `typ` and nothing else.

    Raises Malformed (`svid.malformed`), Unverified (`svid.type`).
    """
    jws = read_compact(token, malformed=SVID_MALFORMED)
    names = jws.header.keys()
    if not {terms.ALG, terms.KID} <= names or not names <= {terms.ALG, terms.KID, terms.TYP}:
        raise SVID_MALFORMED("token header must have `alg` and `kid`, may have `typ`, and nothing else")
    kind = jws.header.get(terms.TYP)
    if (kind is None and needs_type) or (kind is not None and kind not in types):
        raise SVID_TYPE(f"expected a token of type {' or '.join(sorted(types))}, got {shown(kind, 40)}")
    return jws


def read_claims(jws: CompactJWS) -> Mapping[str, JSONValue]:
    """Read the claims of a token. Raises Malformed (`svid.malformed`)."""
    limits = Limits(size_bytes_max=TOKEN_CHARS_MAX, depth_max=PAYLOAD_DEPTH_MAX)
    try:
        claims = parse(jws.payload, limits=limits)
    except Malformed as error:
        raise SVID_MALFORMED(f"token claims: {error.message}") from None
    if not isinstance(claims, dict):
        raise SVID_MALFORMED("token claims are not a JSON object")
    return MappingProxyType(claims)


def subject_of(claims: Mapping[str, JSONValue]) -> SpiffeId:
    """Return the workload in `sub`. Raises Unverified (`svid.id`) unless it is a SPIFFE ID with a path."""
    text = claims.get(terms.SUBJECT)
    if not isinstance(text, str):
        raise SVID_ID("the token has no `sub`")
    try:
        name = spiffe_id(text)
    except Malformed as error:
        raise SVID_ID(error.message) from None
    if not name.path:
        raise SVID_ID(f"{shown(name)} is the SPIFFE ID of a trust domain, expected that of a workload")
    return name


def bundle_for(domain: TrustDomain, bundle_of: Callable[[TrustDomain], TrustBundle | None]) -> TrustBundle:
    """Return the bundle of a trust domain. Raises Unverified (`svid.trust_domain`) if the domain is not trusted."""
    bundle = bundle_of(domain)
    if bundle is None or bundle.trust_domain != domain:
        raise SVID_TRUST_DOMAIN(f"there is no bundle of trust domain {shown(domain)} here")
    return bundle


def check_signed(jws: CompactJWS, authorities: Mapping[str, str], domain: TrustDomain) -> None:
    """Check the signature of a token. Raises Unverified: `svid.kid` if the bundle has no such key for this kind of
    token, `svid.algorithm`, `svid.signature`."""
    kid = jws.header[terms.KID]
    jwk = authorities.get(kid)
    if jwk is None:
        raise SVID_KID(f"trust domain {shown(domain)} has no key {shown(kid, 60)} for tokens of this kind")
    check_token(jws, jwk)


def expiry_of(claims: Mapping[str, JSONValue], now: UnixMillis) -> UnixMillis:
    """Return when the token expires, after checking `exp`, `nbf` and `iat` (RFC 7519, sections 4.1.4 to 4.1.6).

    Raises Malformed (`svid.malformed`) for an invalid time, Unverified: `svid.expired`, also without `exp`,
    `svid.not_yet_valid`.
    """
    ends, begins = _time(claims, terms.EXPIRES), _time(claims, terms.NOT_BEFORE)
    _time(claims, terms.ISSUED)
    if ends is None:
        raise SVID_EXPIRED("the token has no `exp`")
    if now >= ends:
        raise SVID_EXPIRED("the token has expired")
    if begins is not None and now + SKEW_MILLIS < begins:
        raise SVID_NOT_YET_VALID("the token is not yet valid")
    return ends


def signed_claims(
    claims: dict[str, JSONValue], *, typ: str, kid: str, sign: ec.EllipticCurvePrivateKey
) -> str:
    """Sign claims as a token. Raises Malformed (`svid.issue`) for a `kid` that no bundle may contain or a token of more
    than `TOKEN_CHARS_MAX` characters, `json.*`, and what `sign` raises."""
    if not 0 < len(kid) <= KID_CHARS_MAX:
        raise SVID_ISSUE(f"a `kid` has 1 to {KID_CHARS_MAX} characters")
    token = signed_token({terms.KID: kid, terms.TYP: typ}, encode(claims), sign)
    if len(token) > TOKEN_CHARS_MAX:
        raise SVID_ISSUE(f"the token would have more than {TOKEN_CHARS_MAX} characters")
    return token


def dated_claims(name: SpiffeId, issued_at: UnixMillis, expires_at: UnixMillis) -> dict[str, JSONValue]:
    """Return `sub`, `iat` and `exp` for a token to issue, truncated to seconds. Raises Malformed (`svid.issue`)."""
    first, last = issued_at // 1000, expires_at // 1000
    if not name.path:
        raise SVID_ISSUE(f"{shown(name)} is the SPIFFE ID of a trust domain, expected that of a workload")
    if not 0 <= first < last <= SECONDS_MAX:
        raise SVID_ISSUE("a token ends after it begins")
    return {terms.SUBJECT: str(name), terms.ISSUED: first, terms.EXPIRES: last}


def manifest_claim(shown: ShownManifest | None) -> dict[str, JSONValue]:
    """Return the claim that states by which manifest the workload was measured; empty if no valid manifest applies.

    The claim is our statement about our own workloads, for verifiers that trust our domain. This product never reads it
    from a token.
    """
    if shown is None or not shown.digest:
        return {}
    return {
        terms.MANIFEST: {
            "digest": shown.digest,
            "drifted": shown.drifted,
            "grade": shown.grade,
            "measured": dict(shown.fields),
        },
    }


def _time(claims: Mapping[str, JSONValue], name: str) -> UnixMillis | None:
    """Read a NumericDate (RFC 7519, section 2), which may have a fraction."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= SECONDS_MAX:
        raise SVID_MALFORMED(f"`{name}` is not a time in seconds")
    return UnixMillis(int(value * 1000))
