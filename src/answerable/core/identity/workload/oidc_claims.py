"""Verify workload tokens of OpenID issuers: signature, terms, and the selectors that their claims give.

Laws:
- the algorithm is on our list and fits the key's type, so that no public key is ever used as a MAC secret;
- issuer and audience are exactly the expected ones, and the audience is the only one: another recipient of the same
 token could pass it on;
- a token has an expiry, and lives no longer than its issuer's terms allow;
- selectors of a shape (`oidc_shapes`) come only from issuers that are configured for it: any other issuer could write
 the same claims (OpenID Connect Core, section 3.1.3.7; RFC 8725; RFC 9068, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from joserfc import jws as jose
from joserfc.errors import JoseError

from answerable.core.canonical import Limits, parse
from answerable.core.identity.keys.compact_jws import PAYLOAD_DEPTH_MAX, read_compact
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.workload.attestation import STEP, selector
from answerable.core.identity.workload.issuer_key import ALGORITHMS, issuer_key
from answerable.core.identity.workload.oidc_shapes import shaped_selectors, text_selector
from answerable.errors import Malformed, shown
from answerable.errors.codes.workloads import (
    OIDC_ALGORITHM,
    OIDC_AUDIENCE,
    OIDC_EXPIRED,
    OIDC_FUTURE,
    OIDC_HEADER,
    OIDC_ISSUER,
    OIDC_LIFETIME,
    OIDC_MALFORMED,
    OIDC_SIGNATURE,
    OIDC_SUBJECT,
    OIDC_TIME,
    OIDC_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from joserfc._rfc7515.model import JWSAlgModel

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.compact_jws import CompactJWS
    from answerable.core.identity.workload.oidc_shapes import Kind

TOKEN_CHARS_MAX: Final = 16_384
SKEW_SECONDS: Final = 60
LIFETIME_SECONDS_MAX: Final = 86_400
SUBJECT_CHARS_MAX: Final = 255
"""Maximum length of `sub` (OpenID Connect Core, section 2)."""

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_HEADER_MEMBERS: Final = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
_NOT_SELECTORS: Final = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash", "sid", "auth_time", "cnf"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerTerms:
    """A trusted issuer. issuer: its exact `iss`. audience: the required audience of its tokens. kind: shape of its
    claims.

    lifetime_seconds_max: longest time between `iat` and `exp` of a token.
    """

    issuer: str
    audience: str
    kind: Kind = "oidc"
    lifetime_seconds_max: int = LIFETIME_SECONDS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHint:
    """Unverified contents of a token; use them only to choose where to look up keys."""

    issuer: str
    kid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadClaims:
    """A verified token. selectors: the selectors that it gives, sorted. expires_at: its expiry."""

    issuer: str
    subject: str
    expires_at: UnixMillis
    selectors: tuple[str, ...]
    claims: Mapping[str, JSONValue]


def token_hint(token: str) -> TokenHint:
    """Read issuer and key id as written, unverified. Raises Malformed (`oidc.malformed`)."""
    jws = _read(token)
    issuer = _claims(jws).get("iss")
    return TokenHint(issuer=issuer if isinstance(issuer, str) else "", kid=jws.header.get("kid", ""))


def verified_workload(token: str, *, key_set: bytes, terms: IssuerTerms, now: UnixMillis) -> WorkloadClaims:
    """Verify a token under the issuer's JWK Set and terms.

    Raises Malformed (`oidc.malformed`) and Unverified (`oidc.header`, `oidc.type`, `oidc.algorithm`, `oidc.key`,
    `oidc.signature`, `oidc.issuer`, `oidc.audience`, `oidc.time`, `oidc.expired`, `oidc.future`, `oidc.lifetime`,
    `oidc.subject`, and as `shaped_selectors`).
    """
    claims = verified_token(token, key_set=key_set, terms=terms, now=now, types=_TYPES)
    expires_at = millis(claims, "exp")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX:
        raise OIDC_SUBJECT(f"`sub` is not a text of 1 to {SUBJECT_CHARS_MAX} characters", step=STEP)
    found = {*_plain(claims, terms, subject), *shaped_selectors(terms.kind, claims)}
    return WorkloadClaims(
        issuer=terms.issuer,
        subject=subject,
        expires_at=expires_at,
        selectors=tuple(sorted(found)),
        claims=claims,
    )


def verified_token(
    token: str, *, key_set: bytes, terms: IssuerTerms, now: UnixMillis, types: frozenset[str]
) -> dict[str, JSONValue]:
    """Verify signature, issuer, audience and times of a token, and that `typ`, if present, is in `types` (lower case).
    Return the claims; the caller checks the subject.

    Raises as `verified_workload`, except for the subject.
    """
    jws = _read(token)
    _check_header(jws.header, types)
    name = jws.header["alg"]
    key = issuer_key(key_set, kid=jws.header.get("kid"), algorithm=name)
    try:
        jose.deserialize_compact(jws.token, key, registry=_OneAlgorithm(name))
    except (JoseError, ValueError):
        raise OIDC_SIGNATURE() from None
    claims = _claims(jws)
    _check_parties(claims, terms)
    _check_times(claims, terms, now)
    return claims


def claimed(token: str) -> dict[str, JSONValue]:
    """Return the claims of a token as written; only for a token that was verified on receipt.

    Raises Malformed (`oidc.malformed`).
    """
    return _claims(_read(token))


class _OneAlgorithm(jose.JWSRegistry):
    def __init__(self, name: str) -> None:
        super().__init__(algorithms=[name])
        self._name = name
        # The length of the token already bounds header, payload and signature.
        self.max_header_length = TOKEN_CHARS_MAX

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return the one algorithm, whatever the name. Avoids the library's warning about the name `EdDSA`: keys on its
        other curve were refused before."""
        return self.algorithms[self._name]


def _read(token: str) -> CompactJWS:
    if len(token) > TOKEN_CHARS_MAX:
        raise OIDC_MALFORMED(f"token has more than {TOKEN_CHARS_MAX} characters")
    return read_compact(token, malformed=OIDC_MALFORMED)


def _claims(jws: CompactJWS) -> dict[str, JSONValue]:
    try:
        claims = parse(
            jws.payload, limits=Limits(size_bytes_max=TOKEN_CHARS_MAX, depth_max=PAYLOAD_DEPTH_MAX)
        )
    except Malformed as error:
        raise OIDC_MALFORMED(f"token claims: {error.message}") from None
    if not isinstance(claims, dict):
        raise OIDC_MALFORMED("token claims are not a JSON object")
    return claims


def _check_header(header: Mapping[str, str], types: frozenset[str]) -> None:
    if not header.keys() <= _HEADER_MEMBERS:
        odd = shown(min(header.keys() - _HEADER_MEMBERS), 40)
        raise OIDC_HEADER(f"token header has the member {odd}, which is not accepted")
    if "typ" in header and header["typ"].lower() not in types:
        raise OIDC_TYPE(f"a token of type {shown(header['typ'], 40)} is not accepted here")
    if header.get("alg") not in ALGORITHMS:
        raise OIDC_ALGORITHM(f"algorithm {shown(header.get('alg'), 40)} is not accepted")


def _check_parties(claims: Mapping[str, JSONValue], terms: IssuerTerms) -> None:
    if claims.get("iss") != terms.issuer:
        got = shown(claims.get("iss"))
        raise OIDC_ISSUER(f"expected issuer {shown(terms.issuer)}, got {got}")
    audience = claims.get("aud")
    if audience not in (terms.audience, [terms.audience]):
        raise OIDC_AUDIENCE(f"expected the single audience {shown(terms.audience)}, got {shown(audience)}")


def _check_times(claims: Mapping[str, JSONValue], terms: IssuerTerms, now: UnixMillis) -> None:
    expires, issued = millis(claims, "exp"), millis(claims, "iat")
    begins = millis(claims, "nbf") if "nbf" in claims else issued
    skew = SKEW_SECONDS * 1000
    if now >= expires + skew:
        raise OIDC_EXPIRED()
    if max(begins, issued) > now + skew:
        raise OIDC_FUTURE()
    if not 0 < expires - issued <= terms.lifetime_seconds_max * 1000:
        lifetime = (expires - issued) // 1000
        message = (
            f"lifetime of the token is {lifetime} seconds, expected 1 to {terms.lifetime_seconds_max} seconds"
        )
        raise OIDC_LIFETIME(message)


def millis(claims: Mapping[str, JSONValue], name: str) -> UnixMillis:
    """Convert a claim in seconds to milliseconds. Raises Unverified (`oidc.time`)."""
    value = claims.get(name)
    # A boolean is an integer in Python, and not a date.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise OIDC_TIME(f"`{name}` is not a date in seconds")
    return UnixMillis(int(value * 1000))


def _plain(claims: Mapping[str, JSONValue], terms: IssuerTerms, subject: str) -> Iterator[str]:
    yield from selector("oidc", "iss", terms.issuer)
    yield from selector("oidc", "sub", subject)
    yield from selector("oidc", "aud", terms.audience)
    for name, value in claims.items():
        if name in _NOT_SELECTORS:
            continue
        for one in value if isinstance(value, list) else [value]:
            yield from text_selector("oidc", f"claim.{name}", one)
