"""Sign and verify statements as compact JWS (RFC 7515). This module parses strictly first; joserfc signs and verifies.

Laws:
- one token has one reading: base64url without padding or spare bits, JSON without duplicates, no unknown header member;
- the algorithm follows from the key; the header may only agree with it (RFC 8725, sections 3.1 and 3.2), and joserfc is
 given this one algorithm and this one key for every token;
- a statement declares its kind in `typ`, so that one kind is never taken for another (RFC 8725, section 3.11).
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from joserfc import jws as jose
from joserfc.errors import JoseError
from joserfc.registry import HeaderParameter

from answerable.core.base64url import to_base64url
from answerable.core.canonical import Limits, encode, parse
from answerable.core.identity.keys.keys import SigningKey, verifying_key
from answerable.errors import Malformed, shown
from answerable.errors.codes.identity import STATEMENT_MALFORMED, STATEMENT_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import Algorithm, PublicKey
    from answerable.errors import MalformedCode, UnverifiedCode

TOKEN_CHARS_MAX: Final = 65_536
HEADER_BYTES_MAX: Final = 512
JWE_PARTS: Final = 5
"""Number of parts of an encrypted token in compact form (RFC 7516, section 3.1)."""
PAYLOAD_DEPTH_MAX: Final = 8
KIDS_KEPT_MAX: Final = 1_024
"""Statements whose key is cached: a mandate is asked for it each time that a plan is made under it."""

JOSE_NAMES: Final[Mapping[Algorithm, str]] = {"ed25519": "Ed25519", "ecdsa-p256-sha256": "ES256"}
"""JOSE `alg` of each algorithm: RFC 9864, section 2.2, and RFC 7518, section 3.4."""

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_AS_IN_MAIL: Final = str.maketrans("-_", "+/")
# Members that joserfc does not know and that have no effect; each reader decides which of them it accepts.
_REMARKS: Final = {"c14n": HeaderParameter("canonical form of header and payload", "str")}
_HEADER_MEMBERS: Final = frozenset({"alg", "kid", "typ"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactJWS:
    """A parsed token with one reading, not yet verified. token: the characters as received, for `check_compact`."""

    header: Mapping[str, str]
    payload: bytes
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCodes:
    """The error codes for one kind of token, by fault."""

    malformed: MalformedCode
    type: UnverifiedCode
    algorithm: UnverifiedCode
    key: UnverifiedCode
    signature: UnverifiedCode


class _OneAlgorithm(jose.JWSRegistry):
    """The only algorithm that joserfc may accept, with room for the longest header that `read_compact` accepts."""

    max_header_length = (HEADER_BYTES_MAX * 4 + 2) // 3  # characters of base64url

    def __init__(self, name: str) -> None:
        super().__init__(header_registry=_REMARKS, algorithms=[name])


def split_compact(token: str, *, malformed: MalformedCode) -> tuple[str, str, str]:
    """Return header, payload and signature, each still in base64url. Raises Malformed (`malformed`)."""
    if len(token) > TOKEN_CHARS_MAX:
        raise malformed(f"token has more than {TOKEN_CHARS_MAX} characters")
    parts = token.split(".")
    if len(parts) == JWE_PARTS:
        raise malformed(
            "token has 5 parts, expected 3: encrypted tokens (JWE) are not accepted, send a signed one"
        )
    if len(parts) != 3:
        raise malformed(f"token has {len(parts)} parts, expected 3")
    header, payload, signature = parts
    return header, payload, signature


def header_members(header: bytes, *, malformed: MalformedCode, depth_max: int = 1) -> dict[str, JSONValue]:
    """Return the members of a decoded header. depth_max: more than 1 if the header may contain a key.

    Raises Malformed (`malformed`).
    """
    try:
        members = parse(header, limits=Limits(size_bytes_max=HEADER_BYTES_MAX, depth_max=depth_max))
    except Malformed as error:
        raise malformed(f"token header: {error.message}") from None
    if not isinstance(members, dict):
        raise malformed("token header is not a JSON object")
    return members


def read_compact(token: str, *, malformed: MalformedCode) -> CompactJWS:
    """Parse a token without verifying it. Raises Malformed (`malformed`)."""
    header, payload, _ = (
        from_base64url(part, malformed=malformed) for part in split_compact(token, malformed=malformed)
    )
    members = header_members(header, malformed=malformed)
    texts = {name: value for name, value in members.items() if isinstance(value, str)}
    if texts.keys() != members.keys():
        # A member that is not text (`crit`, `b64`, `jwk`, `x5c`) would change how the token is processed.
        raise malformed("token header has a member that is not text")
    return CompactJWS(header=texts, payload=payload, token=token)


@lru_cache(maxsize=KIDS_KEPT_MAX)
def kid_of(token: str) -> str:
    """Return the thumbprint of the key that a statement, verified when it was accepted, names; empty for none, and for
    what is no token. Of the statement, only the header is decoded."""
    try:
        header, _, _ = split_compact(token, malformed=STATEMENT_MALFORMED)
        octets = from_base64url(header, malformed=STATEMENT_MALFORMED)
        kid = header_members(octets, malformed=STATEMENT_MALFORMED).get("kid")
    except Malformed:
        return ""
    return kid if isinstance(kid, str) else ""


def check_compact(
    jws: CompactJWS, key: PublicKey, *, algorithm: UnverifiedCode, signature: UnverifiedCode
) -> None:
    """Check algorithm and signature against one key.

    Raises Unverified: `algorithm` unless the header names the key's own algorithm, `signature` for anything that
    joserfc refuses.
    """
    prepared = verifying_key(key)
    expected = JOSE_NAMES[prepared.algorithm]
    if jws.header.get("alg") != expected:
        got = shown(jws.header.get("alg"), 40)
        raise algorithm(f"expected algorithm {expected} for this key, got {got}")
    try:
        jose.deserialize_compact(jws.token, prepared.jose_key(), registry=_OneAlgorithm(expected))
    except JoseError:
        raise signature("the signature is invalid") from None


def verified_claims(
    token: str,
    *,
    typ: str,
    codes: TokenCodes,
    issuer_of: Callable[[Mapping[str, JSONValue]], str],
    keys_of: Callable[[str], Iterable[PublicKey]],
) -> dict[str, JSONValue]:
    """Verify a statement of kind `typ` and return its claims. `issuer_of` finds the issuer in the claims; `keys_of`
    gives the issuer's keys.

    Raises these codes, and what `issuer_of` raises.
    """
    jws = read_compact(token, malformed=codes.malformed)
    if jws.header.keys() != _HEADER_MEMBERS:
        raise codes.malformed("token header must have `alg`, `kid` and `typ`, and nothing else")
    if jws.header["typ"] != typ:
        got = shown(jws.header["typ"], 40)
        raise codes.type(f"expected a token of type {typ}, got {got}")
    if jws.header["alg"] not in JOSE_NAMES.values():
        got = shown(jws.header["alg"], 40)
        raise codes.algorithm(f"algorithm {got} is not accepted")
    try:
        limits = Limits(size_bytes_max=TOKEN_CHARS_MAX, depth_max=PAYLOAD_DEPTH_MAX)
        claims = parse(jws.payload, limits=limits)
    except Malformed as error:
        raise codes.malformed(f"token claims: {error.message}") from None
    if not isinstance(claims, dict):
        raise codes.malformed("token claims are not a JSON object")
    issuer = issuer_of(claims)
    for key in keys_of(issuer):
        if key.thumbprint == jws.header["kid"]:
            check_compact(jws, key, algorithm=codes.algorithm, signature=codes.signature)
            return claims
    kid = shown(jws.header["kid"], 60)
    raise codes.key(f"key {kid} is not registered for {shown(issuer)}")


def signed_statement(claims: Mapping[str, JSONValue], *, typ: str, key: SigningKey) -> str:
    """Sign the canonical JSON of the claims as a compact token. Raises Malformed (`json.*`, `statement.size`).

    An Ed25519 token is determined by key and claims; for ES256 the library draws a fresh nonce each time.
    """
    name = JOSE_NAMES[key.algorithm]
    header = {"alg": name, "kid": key.public.thumbprint, "typ": typ}
    token = jose.serialize_compact(header, encode(dict(claims)), key.jose_key(), registry=_OneAlgorithm(name))
    if len(token) > TOKEN_CHARS_MAX:
        raise STATEMENT_SIZE(
            f"the signed statement would have {len(token)} characters, expected at most {TOKEN_CHARS_MAX}"
        )
    return token


def from_base64url(part: str, *, malformed: MalformedCode) -> bytes:
    """Decode one part of a token (RFC 7515, section 2); a second spelling of the same bytes is refused.

    Raises Malformed (`malformed`).
    """
    if _BASE64URL.fullmatch(part) and len(part) % 4 != 1:
        octets = a2b_base64(part.translate(_AS_IN_MAIL) + "=" * (-len(part) % 4))
        if to_base64url(octets) == part:
            return octets
    raise malformed("a part of the token is not base64url without padding")
