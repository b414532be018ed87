"""Trust bundles: read and write the public keys of trust domains (SPIFFE Trust Domain and Bundle, sections 4 and 5).

Laws:
- the trust domain is the one that the caller configured; no document names its own;
- a bundle without keys trusts nothing: all SVIDs of its domain are refused (section 4.1.3);
- a key of an unknown kind or use is ignored; a malformed key invalidates the whole document;
- writing a bundle and reading it back gives the same bundle.

Deliberately stricter than the standards: an `x509-svid` entry with a `kid`, with two certificates, or whose key differs
from its certificate's is refused (X509-SVID section 6.2 would take the first certificate), certificates must be those
of signing authorities, and no `kid` occurs twice. RSA keys out of bounds and unknown `alg` count as unknown kinds, so
that one unusual key does not block the withdrawal of another. Integers end at 2**53 - 1.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from answerable.core.canonical import Limits, encode, parse
from answerable.core.identity.names import spiffe_terms as terms
from answerable.core.identity.names.spiffe_id import TrustDomain, trust_domain
from answerable.core.identity.svid.certificate_rules import authority_key
from answerable.core.identity.svid.svid_keys import KID_CHARS_MAX, canonical_jwk, jwk_text
from answerable.errors import Malformed, MalformedCode, shown
from answerable.errors.codes.identity import (
    BUNDLE_AUTHORITY,
    BUNDLE_KEY,
    BUNDLE_KEYS,
    BUNDLE_KID,
    BUNDLE_KIND,
    BUNDLE_REFRESH_HINT,
    BUNDLE_SEQUENCE,
    BUNDLE_SIZE,
)

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

BUNDLE_BYTES_MAX: Final = 1_048_576
BUNDLE_MAP_BYTES_MAX: Final = 8_388_608
BUNDLE_DEPTH_MAX: Final = 8
KEYS_MAX: Final = 256
"""Most entries in `keys` of one bundle."""
DOMAINS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustBundle:
    """The keys against which SVIDs of one trust domain are verified.

    x509_authorities: DER certificates. jwt_authorities, wit_authorities: canonical public JWK text by `kid`, as
    `svid_keys.canonical_jwk` writes it. sequence, refresh_hint (seconds): as published, or None.
    """

    trust_domain: TrustDomain
    x509_authorities: tuple[bytes, ...] = ()
    jwt_authorities: Mapping[str, str] = field(default_factory=dict)
    wit_authorities: Mapping[str, str] = field(default_factory=dict)
    sequence: int | None = None
    refresh_hint: int | None = None

    def __post_init__(self) -> None:
        """Check the bundle. Raises Malformed (`bundle.kid`): WIT-SVID section 6.1 requires each `kid` to be unique in
        the bundle."""
        both = self.jwt_authorities.keys() & self.wit_authorities.keys()
        if both:
            raise BUNDLE_KID(f"two keys have the `kid` {shown(min(both), 60)}")
        object.__setattr__(self, "jwt_authorities", MappingProxyType(dict(self.jwt_authorities)))
        object.__setattr__(self, "wit_authorities", MappingProxyType(dict(self.wit_authorities)))

    @property
    def is_empty(self) -> bool:
        """Whether the bundle has no keys, so that nothing of this domain is trusted."""
        return not (self.x509_authorities or self.jwt_authorities or self.wit_authorities)


def parse_bundle(text: bytes, *, domain: TrustDomain) -> TrustBundle:
    """Read a bundle document (JWK Set). domain: the configured trust domain that it was fetched for.

    Raises Malformed: `json.*`, `bundle.kind`, `.keys`, `.size`, `.sequence`, `.refresh_hint`, `.key`, `.kid`,
    `.authority`.
    """
    limits = Limits(size_bytes_max=BUNDLE_BYTES_MAX, depth_max=BUNDLE_DEPTH_MAX)
    return _bundle(parse(text, limits=limits), domain)


def parse_jwt_bundle(text: bytes, *, domain: TrustDomain) -> TrustBundle:
    """Read an answer of a Workload API's `FetchJWTBundles`: a plain JWK Set of JWT-SVID keys, with or without `use`
    (SPIFFE Workload API, section 6.2.2). An entry with another `use` is ignored. Raises Malformed as `parse_bundle`."""
    return _plain_bundle(text, domain, terms.JWT_SVID_USE)


def parse_wit_bundle(text: bytes, *, domain: TrustDomain) -> TrustBundle:
    """Read an answer of `FetchWITBundles`; otherwise as `parse_jwt_bundle`."""
    return _plain_bundle(text, domain, terms.WIT_SVID_USE)


def parse_bundle_map(text: bytes) -> Mapping[TrustDomain, TrustBundle]:
    """Read a bundle map (section 5). The sender must be authorised for all these domains.

    Raises Malformed as `parse_bundle`, `json.duplicate_member` for a domain given twice, and `spiffe_id.trust_domain`.
    """
    value = parse(text, limits=Limits(size_bytes_max=BUNDLE_MAP_BYTES_MAX, depth_max=BUNDLE_DEPTH_MAX))
    domains = value.get(terms.TRUST_DOMAINS) if isinstance(value, dict) else None
    if not isinstance(domains, dict):
        raise BUNDLE_KIND("a bundle map needs an object `trust_domains`")
    if len(domains) > DOMAINS_MAX:
        raise BUNDLE_SIZE(f"a bundle map of {len(domains)} domains, at most {DOMAINS_MAX}")
    named = {trust_domain(name): bundle for name, bundle in domains.items()}
    return MappingProxyType({domain: _bundle(bundle, domain) for domain, bundle in named.items()})


def encoded_bundle(bundle: TrustBundle) -> bytes:
    """Write the bundle document, with all uses. Raises Malformed (`bundle.authority`) for an invalid certificate."""
    return encode(_document(bundle))


def encoded_bundle_map(bundles: Mapping[TrustDomain, TrustBundle]) -> bytes:
    """Write the bundle map; refresh hints of its bundles are omitted (section 5.1.1)."""
    documents: dict[str, JSONValue] = {}
    for domain, bundle in bundles.items():
        document = _document(bundle)
        document.pop(terms.REFRESH_HINT, None)
        documents[domain] = document
    return encode({terms.TRUST_DOMAINS: documents})


def encoded_jwt_bundle(bundle: TrustBundle) -> bytes:
    """Write the JWT-SVID keys alone as a plain JWK Set, for the Workload API (section 6.2.2): always with `kid`, and
    without `use`, which readers outside SPIFFE refuse."""
    return encode({terms.KEYS: _jwk_entries(bundle.jwt_authorities)})


def encoded_wit_bundle(bundle: TrustBundle) -> bytes:
    """Write the WIT-SVID keys alone; otherwise as `encoded_jwt_bundle`."""
    return encode({terms.KEYS: _jwk_entries(bundle.wit_authorities)})


def _document(bundle: TrustBundle) -> dict[str, JSONValue]:
    keys: list[JSONValue] = []
    for der in bundle.x509_authorities:
        key = authority_key(der)
        members = cast("dict[str, JSONValue]", parse(jwk_text(key).encode()))
        keys.append({**members, terms.USE: terms.X509_SVID_USE, terms.X5C: [b64encode(der).decode("ascii")]})
    keys += _jwk_entries(bundle.jwt_authorities, use=terms.JWT_SVID_USE)
    keys += _jwk_entries(bundle.wit_authorities, use=terms.WIT_SVID_USE)
    document: dict[str, JSONValue] = {terms.KEYS: keys}
    if bundle.sequence is not None:
        document[terms.SEQUENCE] = bundle.sequence
    if bundle.refresh_hint is not None:
        document[terms.REFRESH_HINT] = bundle.refresh_hint
    return document


def _jwk_entries(authorities: Mapping[str, str], *, use: terms.Use | None = None) -> list[JSONValue]:
    entries: list[JSONValue] = []
    for kid, jwk in authorities.items():
        members = cast("dict[str, JSONValue]", parse(jwk.encode()))
        members[terms.KID] = kid
        if use is not None:
            members[terms.USE] = use
        entries.append(members)
    return entries


def _bundle(value: JSONValue, domain: TrustDomain) -> TrustBundle:
    document, entries = _entries(value)
    certificates: dict[bytes, None] = {}
    jwks: dict[terms.Use, dict[str, str]] = {terms.JWT_SVID_USE: {}, terms.WIT_SVID_USE: {}}
    for entry in entries:
        use = entry.get(terms.USE)
        if use == terms.X509_SVID_USE:
            der = _certificate(entry)
            if der is not None:
                certificates[der] = None
        elif use == terms.JWT_SVID_USE or use == terms.WIT_SVID_USE:
            _add_key(jwks[use], entry)
    return TrustBundle(
        trust_domain=domain,
        x509_authorities=tuple(certificates),
        jwt_authorities=jwks[terms.JWT_SVID_USE],
        wit_authorities=jwks[terms.WIT_SVID_USE],
        sequence=_count(document, terms.SEQUENCE, code=BUNDLE_SEQUENCE),
        refresh_hint=_count(document, terms.REFRESH_HINT, code=BUNDLE_REFRESH_HINT),
    )


def _plain_bundle(text: bytes, domain: TrustDomain, use: terms.Use) -> TrustBundle:
    limits = Limits(size_bytes_max=BUNDLE_BYTES_MAX, depth_max=BUNDLE_DEPTH_MAX)
    _, entries = _entries(parse(text, limits=limits))
    keys: dict[str, str] = {}
    for entry in entries:
        if entry.get(terms.USE, use) == use:
            _add_key(keys, entry)
    if use == terms.JWT_SVID_USE:
        return TrustBundle(trust_domain=domain, jwt_authorities=keys)
    return TrustBundle(trust_domain=domain, wit_authorities=keys)


def _entries(value: JSONValue) -> tuple[dict[str, JSONValue], list[dict[str, JSONValue]]]:
    if not isinstance(value, dict):
        raise BUNDLE_KIND("a bundle is a JSON object")
    keys = value.get(terms.KEYS)
    if not isinstance(keys, list):
        raise BUNDLE_KEYS()
    if len(keys) > KEYS_MAX:
        raise BUNDLE_SIZE(f"a bundle of {len(keys)} keys, at most {KEYS_MAX}")
    entries = [entry for entry in keys if isinstance(entry, dict)]
    if len(entries) != len(keys):
        raise BUNDLE_KEY("a key of a bundle is not a JSON object")
    return value, entries


def _certificate(entry: Mapping[str, JSONValue]) -> bytes | None:
    """Return the DER certificate of an `x509-svid` entry, or None for an entry to ignore."""
    jwk = _checked_jwk(entry)
    chain = entry.get(terms.X5C)
    if jwk is None or chain is None or chain == []:
        return None  # Unknown kinds: section 4.2.1. No certificate: X509-SVID, section 6.2.
    if terms.KID in entry:
        raise BUNDLE_KID("an `x509-svid` key has no `kid`")
    if not isinstance(chain, list) or len(chain) != 1 or not isinstance(chain[0], str):
        raise BUNDLE_AUTHORITY("an `x509-svid` key has exactly one certificate in `x5c`")
    try:
        der = b64decode(chain[0], validate=True)
    except ValueError:
        der = b""
    if b64encode(der).decode("ascii") != chain[0]:
        raise BUNDLE_AUTHORITY("`x5c` is not base64 (RFC 4648, section 4)")
    certified = jwk_text(authority_key(der))
    if certified != _without_alg(jwk):
        raise BUNDLE_KEY("the key of an `x509-svid` entry is not its certificate's")
    return der


def _without_alg(jwk: str) -> str:
    members = cast("dict[str, JSONValue]", parse(jwk.encode()))
    members.pop(terms.ALG, None)
    return encode(members).decode("ascii")


def _add_key(keys: dict[str, str], entry: Mapping[str, JSONValue]) -> None:
    jwk = _checked_jwk(entry)
    if jwk is None:
        return
    kid = entry.get(terms.KID)
    if not isinstance(kid, str) or not 0 < len(kid) <= KID_CHARS_MAX:
        raise BUNDLE_KID(f"a key that signs tokens needs a `kid` of 1 to {KID_CHARS_MAX} characters")
    if kid in keys:
        raise BUNDLE_KID(f"two keys have the `kid` {shown(kid, 60)}")
    keys[kid] = jwk


def _checked_jwk(entry: Mapping[str, JSONValue]) -> str | None:
    try:
        return canonical_jwk(entry)
    except Malformed as error:
        raise BUNDLE_KEY(f"a key of a bundle: {error.message}") from None


def _count(document: Mapping[str, JSONValue], name: str, *, code: MalformedCode) -> int | None:
    value = document.get(name)
    if value is None and name not in document:
        return None
    if type(value) is not int or value < 0:
        raise code(f"`{name}` is not a whole number from 0")
    return value
