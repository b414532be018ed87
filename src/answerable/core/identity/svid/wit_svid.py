"""Issue and verify WIT-SVIDs: tokens that name a workload and the key it holds (WIT-SVID standard, incubating, sections
2 to 4).

Laws: a token proves nothing without proof of possession of the key in it, so `verified_wit_svid` returns the key to
demand that proof from, not a caller; there is no `aud`, and no `iss` that OpenID discovery could follow; `jti` is not
usable for replay detection, since two instances may have the same.

Deliberately stricter than the standard: unknown header members are refused, where section 2 would ignore them, and
`cnf` contains `jwk` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from answerable.core.canonical import encode, parse
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
from answerable.core.identity.svid.svid_keys import canonical_jwk
from answerable.errors import Malformed
from answerable.errors.codes.identity import (
    KEY_KIND,
    SVID_AUDIENCE,
    SVID_CNF,
    SVID_CNF_MALFORMED,
    SVID_ISSUE,
    SVID_ISSUER,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.identity.workload.instance import ShownManifest

_TYPES: Final = frozenset({terms.WIT_TYPE})
_TOKEN_ID_CHARS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class WitSvid:
    """A verified token, whose bearer has yet to prove possession of `key`.

    key: the public key in `cnf`, as canonical JWK without `alg`. algorithm: the only algorithm permitted for that
    proof.
    """

    id: SpiffeId
    key: str
    algorithm: str
    expires_at: UnixMillis
    claims: Mapping[str, JSONValue]


def wit_svid(
    *,
    id: SpiffeId,
    jwk: Mapping[str, JSONValue] | str,
    issued_at: UnixMillis,
    expires_at: UnixMillis,
    kid: str,
    sign: ec.EllipticCurvePrivateKey,
    jti: str = "",
    manifest: ShownManifest | None = None,
) -> str:
    """Issue a token signed with ES256; times are truncated to seconds. sign: the authority's key, or a `PortKey` for
    it.

    jwk: the workload's public key, with `alg` if it is RSA. jti: omitted when empty. manifest: the manifest that the
    workload was measured against, added as a private claim. Raises Malformed (`key.*`, `svid.cnf` for a kind of key
    that a WIT-SVID cannot contain, `svid.issue`), and what `sign` raises.
    """
    members = parse(jwk.encode("utf-8", "surrogatepass")) if isinstance(jwk, str) else dict(jwk)
    if not isinstance(members, dict):
        raise KEY_KIND("a key must be a JSON object")
    confirmed = _confirmed(members)
    if confirmed is None:
        raise SVID_CNF_MALFORMED()
    if len(jti) > _TOKEN_ID_CHARS_MAX:
        raise SVID_ISSUE(f"`jti` has at most {_TOKEN_ID_CHARS_MAX} characters")
    key, algorithm = confirmed
    claims = dated_claims(id, issued_at, expires_at)
    claims[terms.CONFIRMATION] = {
        terms.CONFIRMED_KEY: {**cast("dict[str, JSONValue]", parse(key.encode())), terms.ALG: algorithm}
    }
    if jti:
        claims[terms.JWT_ID] = jti
    claims |= manifest_claim(manifest)
    return signed_claims(claims, typ=terms.WIT_TYPE, kid=kid, sign=sign)


def verified_wit_svid(
    token: str, *, bundle_of: Callable[[TrustDomain], TrustBundle | None], now: UnixMillis
) -> WitSvid:
    """Verify a token; return its workload, and the key that its bearer must prove possession of. The token alone is no
    proof.

    Raises Malformed (`svid.malformed`) and Unverified with step `svid`: `svid.type`, `.id`, `.trust_domain`, `.kid`,
    `.algorithm`, `.signature`, `.cnf`, `.audience` when it has one, `.issuer`, `.expired`, `.not_yet_valid`.
    """
    jws = read_header(token, types=_TYPES, needs_type=True)
    claims = read_claims(jws)
    name = subject_of(claims)
    bundle = bundle_for(name.trust_domain, bundle_of)
    check_signed(jws, bundle.wit_authorities, name.trust_domain)
    if terms.AUDIENCE in claims:
        raise SVID_AUDIENCE("a WIT-SVID has no `aud`")
    _check_issuer(claims)
    key, algorithm = _confirmation(claims)
    expires_at = expiry_of(claims, now)
    return WitSvid(id=name, key=key, algorithm=algorithm, expires_at=expires_at, claims=claims)


def _check_issuer(claims: Mapping[str, JSONValue]) -> None:
    """Refuse an `iss` that OpenID discovery could follow, an `https` URL (section 3.7)."""
    issuer = claims.get(terms.ISSUER, "")
    if not isinstance(issuer, str) or issuer.strip().lower().startswith(("https:", "http:")):
        raise SVID_ISSUER()


def _confirmation(claims: Mapping[str, JSONValue]) -> tuple[str, str]:
    """Return key and algorithm in `cnf` (section 3.2; RFC 7800, section 3.2)."""
    confirmation = claims.get(terms.CONFIRMATION)
    if not isinstance(confirmation, dict) or confirmation.keys() != {terms.CONFIRMED_KEY}:
        raise SVID_CNF("the token has no `cnf` with `jwk` and nothing else")
    members = confirmation[terms.CONFIRMED_KEY]
    try:
        if isinstance(members, dict) and terms.ALG in members:
            confirmed = _confirmed(members)
            if confirmed is not None:
                return confirmed
    except Malformed as error:
        raise SVID_CNF(f"`cnf.jwk`: {error.message}") from None
    raise SVID_CNF("`cnf.jwk` is not an RSA or EC key with an `alg` that fits it")


def _confirmed(members: Mapping[str, JSONValue]) -> tuple[str, str] | None:
    """Return the key without `alg`, and its one algorithm; None if it has none or several. Raises Malformed
    (`key.*`)."""
    text = canonical_jwk(members)
    if text is None:
        return None
    key = cast("dict[str, JSONValue]", parse(text.encode()))
    named = key.pop(terms.ALG, None) or terms.EC_ALGORITHMS.get(str(key.get("crv")))
    return (encode(key).decode("ascii"), named) if isinstance(named, str) else None
