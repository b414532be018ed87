"""Issue and verify JWT-SVIDs: bearer tokens that identify a workload to one audience (JWT-SVID standard, sections 2 to
4).

Laws: the verifier's audience must match exactly; `kid` is required, since keys are looked up and never tried (section
2.2 lets it be absent, other verifiers do not); the header contains only what the standard lists; RSA and EC sign,
EdDSA, MACs and `none` never.

Anyone who sees a JWT-SVID can copy it: nothing in this product accepts one as proof of the caller's identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names import spiffe_terms as terms
from answerable.core.identity.svid.svid_claims import (
    bundle_for,
    check_signed,
    dated_claims,
    expiry_of,
    manifest_claim,
    read_claims,
    read_header,
    signed_claims,
    subject_of,
)
from answerable.errors import shown
from answerable.errors.codes.identity import SVID_AUDIENCE, SVID_AUDIENCE_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.identity.workload.instance import ShownManifest

AUDIENCES_MAX: Final = 16
AUDIENCE_CHARS_MAX: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtSvid:
    """A verified token. claims: all claims, as signed."""

    id: SpiffeId
    audience: tuple[str, ...]
    expires_at: UnixMillis
    claims: Mapping[str, JSONValue]


def jwt_svid(
    *,
    id: SpiffeId,
    audience: tuple[str, ...],
    issued_at: UnixMillis,
    expires_at: UnixMillis,
    kid: str,
    sign: ec.EllipticCurvePrivateKey,
    manifest: ShownManifest | None = None,
) -> str:
    """Issue a token signed with ES256; times are truncated to seconds.

    sign: the authority's key, or a `PortKey` for it. manifest: the manifest that the workload was measured against,
    added as a private claim. Raises Malformed (`svid.issue`, `svid.audience`), and what `sign` raises.
    """
    _check_audience(audience)
    claims = dated_claims(id, issued_at, expires_at)
    claims[terms.AUDIENCE] = list(audience)
    claims |= manifest_claim(manifest)
    return signed_claims(claims, typ=terms.JWT_TYPE, kid=kid, sign=sign)


def verified_jwt_svid(
    token: str, *, audience: str, bundle_of: Callable[[TrustDomain], TrustBundle | None], now: UnixMillis
) -> JwtSvid:
    """Verify a token for this audience and time.

    Raises Malformed (`svid.malformed`) and Unverified with step `svid`: `svid.type`, `.id`, `.trust_domain`, `.kid`,
    `.algorithm`, `.signature`, `.audience`, `.expired`, `.not_yet_valid`.
    """
    jws = read_header(token, types=terms.JWT_TYPES, needs_type=False)
    claims = read_claims(jws)
    name = subject_of(claims)
    bundle = bundle_for(name.trust_domain, bundle_of)
    check_signed(jws, bundle.jwt_authorities, name.trust_domain)
    named = _audience(claims)
    if not audience or audience not in named:
        raise SVID_AUDIENCE(f"audience of the token does not include {shown(audience)}")
    return JwtSvid(id=name, audience=named, expires_at=expiry_of(claims, now), claims=claims)


def _audience(claims: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Read `aud` (RFC 7519, section 4.1.3): one text or an array of texts."""
    value = claims.get(terms.AUDIENCE)
    items = value if isinstance(value, list) else [value]
    texts = tuple(item for item in items if isinstance(item, str) and item)
    if not texts or len(texts) != len(items):
        raise SVID_AUDIENCE("the token has no `aud` of one or more texts")
    return texts


def _check_audience(audience: tuple[str, ...]) -> None:
    if not 1 <= len(audience) <= AUDIENCES_MAX:
        raise SVID_AUDIENCE_MALFORMED(f"a token is for 1 to {AUDIENCES_MAX} audiences, got {len(audience)}")
    for one in audience:
        if not 0 < len(one) <= AUDIENCE_CHARS_MAX:
            raise SVID_AUDIENCE_MALFORMED(f"an audience has 1 to {AUDIENCE_CHARS_MAX} characters")
