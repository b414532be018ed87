"""Read one hop of a delegation chain: a JWT access token (RFC 9068) that states who may do what, for whom, and by whom
it was granted.

| claim                   | meaning                                                                                  |
|-------------------------|------------------------------------------------------------------------------------------|
| `iss`                   | the token service, or the thumbprint URI of the key that signed                          |
| `sub`                   | the principal the chain acts for, the same on every hop                                  |
| `client_id`             | the agent that acts                                                                      |
| `aud`                   | the deployments that accept the hop, at least one                                        |
| `jti`                   | the hop's id                                                                             |
| `iat`, `exp`, `nbf`     | seconds; `nbf` may be absent                                                             |
| `cnf`                   | the agent's key: `jkt`, `jwk` or both for one key, or `x5t#S256`, or a process            |
| `del_depth`             | 0 for the first hop                                                                      |
| `del_max_depth`         | how many hops there may be; always on the first one                                      |
| `par_hash`              | base64url of SHA-256 over header and payload of the parent, as they were signed          |
| `authorization_details` | one `agent_delegation` object, as in `authority.py`                                      |
| `mission`               | `id` of the mandate, and `authority_hash`                                                |

Laws: header and payload are canonical JSON to the byte, so that one hop has one token; nothing read in this module is
trusted before `delegation_chain` checked it; claims that are not listed are carried along and never grant anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.canonical import Limits, encode, parse
from answerable.core.identity.keys.compact_jws import PAYLOAD_DEPTH_MAX, CompactJWS, read_compact
from answerable.core.identity.keys.keys import PublicKey, public_key
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.authority import Authority, authority_in
from answerable.errors import Malformed, shown
from answerable.errors.codes.mandate import (
    DELEGATION_DUPLICATE_MEMBER,
    DELEGATION_MALFORMED,
    DELEGATION_NON_CANONICAL,
    DELEGATION_NON_FINITE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

HOP_CHARS_MAX: Final = 32_768
NAME_CHARS_MAX: Final = 512
AUDIENCES_MAX: Final = 16
SECONDS_MAX: Final = 253_402_300_799
"""The last second of the year 9999."""

CLAIMS: Final = (
    terms.ISSUER,
    terms.SUBJECT,
    terms.CLIENT,
    terms.AUDIENCE,
    terms.JWT_ID,
    terms.ISSUED,
    terms.EXPIRES,
    terms.NOT_BEFORE,
    terms.CONFIRMATION,
    terms.DEPTH,
    terms.DEPTH_LIMIT,
    terms.PARENT_HASH,
    terms.DETAILS,
    terms.MISSION,
)
"""In the order of the documentation page that describes them."""

Method = Literal["jkt", "x5t#S256", "answerable_process"]

_LIMITS: Final = Limits(size_bytes_max=HOP_CHARS_MAX, depth_max=PAYLOAD_DEPTH_MAX)
_HEADER: Final = frozenset({"alg", "kid", "typ"})
_CONFIRMATIONS: Final = frozenset(
    {terms.KEY, terms.KEY_THUMBPRINT, terms.CERTIFICATE_THUMBPRINT, terms.PROCESS}
)
_LEAF_HASH: Final = re.compile(r"[0-9a-f]{64}")
_AUTHORITY_HASH: Final = re.compile(r"sha-256:[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The holder of a hop, by thumbprint of a key (RFC 7638) or of a certificate (RFC 8705), or by SHA-256 of the
    kernel's description of a local process.

    key: the public key, if the token contains it. Only a holder whose token contains the key can hand on without a
    token service.
    """

    method: Method
    thumbprint: str
    key: PublicKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mission:
    """The mandate behind a chain, and the digest of the mandate's authority."""

    id: str
    authority_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The hop that an agent signed, and that the token service exchanged for another hop.

    hash: the hash by which children would name the hop. limits: spending limits shared by all hops made from the
    consent. entry, leaf, log: index, leaf hash (hex) and log of the ledger entry that recorded the hop; -1 and empty in
    tokens that omit them.
    """

    hash: str
    limits: Mapping[str, int]
    entry: int = -1
    leaf: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawHop:
    """A token with exactly one reading: canonical and without duplicate members. Its claims have not been checked."""

    jws: CompactJWS
    claims: Mapping[str, JSONValue]

    @property
    def token(self) -> str:
        """The token as received."""
        return self.jws.token

    @property
    def hash(self) -> str:
        """The hash that a child's `par_hash` must equal."""
        return signing_hash(self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedHop:
    """The unverified content of a token. Times are Unix milliseconds, half-open; not_before is 0 if `nbf` is absent."""

    raw: RawHop = field(repr=False)
    issuer: str
    principal: str
    agent: str
    audiences: tuple[str, ...]
    jti: str
    issued_at: UnixMillis
    not_before: UnixMillis
    expires_at: UnixMillis
    confirmation: Confirmation
    depth: JSONValue
    depth_limit: JSONValue
    parent_hash: JSONValue
    authority: Authority
    mission: Mission | None


def read_hop(token: str) -> UnverifiedHop:
    """Read a token without verifying it. Raises as `read_raw` and `read_claims` do."""
    return read_claims(read_raw(token))


def read_raw(token: str) -> RawHop:
    """Split a token and check that header and payload are in canonical form.

    Raises Malformed: `delegation.malformed`, `.duplicate_member`, `.non_finite`, `.non_canonical`.
    """
    if len(token) > HOP_CHARS_MAX:
        raise DELEGATION_MALFORMED(f"a hop has more than {HOP_CHARS_MAX} characters")
    jws = read_compact(token, malformed=DELEGATION_MALFORMED)
    header = dict(jws.header)
    remark, value = terms.CANONICAL_REMARK
    if header.pop(remark, value) != value or header.keys() != _HEADER:
        raise DELEGATION_MALFORMED("the header of a hop has `alg`, `kid` and `typ`, and nothing else")
    if header["typ"] not in terms.TYPES:
        raise DELEGATION_MALFORMED(f"expected a token of type {terms.TYP}, got {shown(header['typ'], 40)}")
    try:
        claims = parse(jws.payload, limits=_LIMITS)
    except Malformed as error:
        raise _as_outcome(error) from None
    if not isinstance(claims, dict):
        raise DELEGATION_MALFORMED("the claims of a hop are not a JSON object")
    if to_base64url(encode(dict(jws.header))) != token.partition(".")[0] or encode(claims) != jws.payload:
        raise DELEGATION_NON_CANONICAL()
    return RawHop(jws=jws, claims=claims)


def read_claims(raw: RawHop) -> UnverifiedHop:
    """Read the claims of a hop. `delegation_chain` checks depth and parent later, whatever their type.

    Raises Malformed (`delegation.malformed`), also for an invalid key in `cnf`.
    """
    claims = raw.claims
    details = claims.get(terms.DETAILS)
    if not isinstance(details, list) or len(details) != 1:
        raise DELEGATION_MALFORMED(
            f"a hop has exactly one authorization detail, of type `{terms.DELEGATION}`"
        )
    issued, expires = _seconds(claims, terms.ISSUED), _seconds(claims, terms.EXPIRES)
    starts = _seconds(claims, terms.NOT_BEFORE) if terms.NOT_BEFORE in claims else 0
    return UnverifiedHop(
        raw=raw,
        issuer=_text(claims, terms.ISSUER),
        principal=_text(claims, terms.SUBJECT),
        agent=_text(claims, terms.CLIENT),
        audiences=_audiences(claims.get(terms.AUDIENCE)),
        jti=_text(claims, terms.JWT_ID),
        issued_at=_millis(issued),
        not_before=_millis(starts),
        expires_at=_millis(expires),
        confirmation=_confirmation(claims.get(terms.CONFIRMATION)),
        depth=claims.get(terms.DEPTH),
        depth_limit=claims.get(terms.DEPTH_LIMIT),
        parent_hash=claims.get(terms.PARENT_HASH),
        authority=authority_in(details[0]),
        mission=_mission(claims[terms.MISSION]) if terms.MISSION in claims else None,
    )


def consent_in(hop: UnverifiedHop) -> Consent | None:
    """Return the hop that this hop was exchanged for, if the token service states one. The claim is ignored in a hop
    that an agent signed with its own key.

    Raises Malformed (`delegation.malformed`): an unreadable claim may contain a bound.
    """
    claim = hop.raw.claims.get(terms.CONSENT)
    if claim is None or hop.issuer.startswith(terms.THUMBPRINT_URI):
        return None
    claim = claim if isinstance(claim, dict) else {}
    digest, limits = claim.get(terms.CONSENT_HASH), claim.get(terms.CONSENT_LIMITS)
    if not isinstance(digest, str) or from_base64url_32(digest) is None or not isinstance(limits, dict):
        raise DELEGATION_MALFORMED(f"`{terms.CONSENT}` of a hop must have a hash and limits")
    found = {name: limit for name, limit in limits.items() if type(limit) is int and limit >= 0}
    if len(found) < len(limits):
        raise DELEGATION_MALFORMED(f"limits in `{terms.CONSENT}` must be whole numbers of 0 or more")
    if terms.CONSENT_ENTRY not in claim:
        return Consent(hash=digest, limits=found)
    place = tuple(claim.get(name) for name in (terms.CONSENT_ENTRY, terms.CONSENT_LEAF, terms.CONSENT_LOG))
    match place:
        case (int(entry), str(leaf), str(log)) if (
            type(entry) is int and entry >= 0 and _LEAF_HASH.fullmatch(leaf)
        ):
            return Consent(hash=digest, limits=found, entry=entry, leaf=leaf, log=log)
    raise DELEGATION_MALFORMED(f"`{terms.CONSENT}` of a hop must name the log, entry and leaf that record it")


def signing_hash(token: str) -> str:
    """Return base64url of SHA-256 over the signed header and payload (Agent Delegation Chain -02, section 3)."""
    return to_base64url(sha256(token.rpartition(".")[0].encode("ascii")).digest())


def confirmation_of(key: PublicKey) -> Confirmation:
    """Return the confirmation of the holder of this key, who can then hand on with the key."""
    return Confirmation(method="jkt", thumbprint=key.thumbprint, key=key)


def confirmation_by(method: Method, thumbprint: str) -> Confirmation:
    """Return the confirmation of a certificate's or local process's holder, who cannot hand on without a token
    service."""
    return Confirmation(method=method, thumbprint=thumbprint)


def confirmation_claim(confirmation: Confirmation) -> dict[str, JSONValue]:
    """Write the claim `cnf`; the inverse of how `read_claims` reads it."""
    claim: dict[str, JSONValue] = {confirmation.method: confirmation.thumbprint}
    if confirmation.key is not None:
        claim[terms.KEY] = parse(confirmation.key.jwk.encode("ascii"))
    return claim


def thumbprint_uri(thumbprint: str) -> str:
    """Return the `iss` of a hop signed by the holder of this key (RFC 9278)."""
    return f"{terms.THUMBPRINT_URI}{thumbprint}"


def _confirmation(claim: JSONValue) -> Confirmation:
    if not isinstance(claim, dict) or not claim or not claim.keys() <= _CONFIRMATIONS:
        raise DELEGATION_MALFORMED(
            "`cnf` of a hop holds `jkt`, `jwk`, `x5t#S256` or `answerable_process`, and nothing else"
        )
    for name in (terms.KEY_THUMBPRINT, terms.CERTIFICATE_THUMBPRINT, terms.PROCESS):
        value = claim.get(name)
        if name in claim and (not isinstance(value, str) or from_base64url_32(value) is None):
            raise DELEGATION_MALFORMED(f"`{name}` must be a SHA-256 thumbprint in base64url")
    for method in ("x5t#S256", "answerable_process"):
        if method in claim:
            if len(claim) > 1:
                raise DELEGATION_MALFORMED(
                    "`cnf` of a hop names one key: a certificate's, a process's, or another one"
                )
            return Confirmation(method=method, thumbprint=str(claim[method]))
    if terms.KEY not in claim:
        return Confirmation(method="jkt", thumbprint=str(claim[terms.KEY_THUMBPRINT]))
    jwk = claim[terms.KEY]
    try:
        key = public_key(jwk if isinstance(jwk, dict) else {})
    except Malformed as error:
        raise DELEGATION_MALFORMED(f"`cnf.jwk`: {error.message}") from None
    if claim.get(terms.KEY_THUMBPRINT, key.thumbprint) != key.thumbprint:
        raise DELEGATION_MALFORMED("`cnf.jkt` is not the thumbprint of `cnf.jwk`")
    return confirmation_of(key)


def _mission(claim: JSONValue) -> Mission:
    if isinstance(claim, dict) and claim.keys() == {terms.MISSION_ID, terms.AUTHORITY_HASH}:
        digest = claim[terms.AUTHORITY_HASH]
        if isinstance(digest, str) and _AUTHORITY_HASH.fullmatch(digest):
            return Mission(id=_text(claim, terms.MISSION_ID), authority_hash=digest)
    raise DELEGATION_MALFORMED(
        "`mission` of a hop has `id` and `authority_hash`, which is `sha-256:` and a digest in base64url"
    )


def _audiences(claim: JSONValue) -> tuple[str, ...]:
    listed = claim if isinstance(claim, list) else [claim]
    named = tuple(one for one in listed if isinstance(one, str) and 0 < len(one) <= NAME_CHARS_MAX)
    if not 0 < len(listed) <= AUDIENCES_MAX or len(named) < len(listed):
        raise DELEGATION_MALFORMED(f"`aud` of a hop is text, or a list of 1 to {AUDIENCES_MAX} texts")
    return named


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARS_MAX or not value.isprintable():
        raise DELEGATION_MALFORMED(
            f"`{name}` of a hop must be text of 1 to {NAME_CHARS_MAX} printable characters"
        )
    return value


def _seconds(claims: Mapping[str, JSONValue], name: str) -> int | float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= SECONDS_MAX:
        raise DELEGATION_MALFORMED(f"`{name}` of a hop must be Unix seconds, between the years 1970 and 9999")
    return value


def _millis(seconds: int | float) -> UnixMillis:
    """Truncate, do not round, so that an expiry never moves later."""
    return UnixMillis(int(seconds * 1000))


def _as_outcome(error: Malformed) -> Malformed:
    """Convert a parser error to the outcome that Agent Delegation Chain defines for it."""
    message = f"claims of a hop: {error.message}"
    match error.code:
        case "json.duplicate_member":
            return DELEGATION_DUPLICATE_MEMBER(message)
        case "json.not_finite":
            return DELEGATION_NON_FINITE(message)
    return DELEGATION_MALFORMED(message)
