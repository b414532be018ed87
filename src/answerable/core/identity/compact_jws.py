"""Signed statements as JWS in compact form (RFC 7515), read strictly.

Laws:
- one token has one reading: base64url without padding or spare bits, JSON without duplicates, no header we do not know;
- the algorithm follows from the key; the header may only agree with it (RFC 8725, sections 3.1 and 3.2);
- a statement says what it is in `typ`, so that one kind is never taken for another (RFC 8725, section 3.11).
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import Limits, encode, parse
from answerable.core.identity.keys import SigningKey, to_base64url, verifying_key
from answerable.errors import Malformed, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys import Algorithm, PublicKey

TOKEN_CHARS_MAX: Final = 65_536
HEADER_BYTES_MAX: Final = 512
PAYLOAD_DEPTH_MAX: Final = 8

JOSE_NAMES: Final[Mapping[Algorithm, str]] = {"ed25519": "Ed25519", "ecdsa-p256-sha256": "ES256"}
"""`alg` of each algorithm: RFC 9864, section 2.2, and RFC 7518, section 3.4."""

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER_MEMBERS: Final = frozenset({"alg", "kid", "typ"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactJWS:
    """The parts of a token, unverified. signing_input: the very characters the signature is over."""

    header: Mapping[str, JSONValue]
    payload: bytes
    signing_input: bytes
    signature: bytes


def read_compact(token: str, *, step: str) -> CompactJWS:
    """Take a token apart; nothing in it is to be believed yet. Raises Malformed (`<step>.malformed`)."""
    if len(token) > TOKEN_CHARS_MAX:
        raise Malformed(f"token has more than {TOKEN_CHARS_MAX} characters", code=f"{step}.malformed")
    parts = token.split(".")
    if len(parts) != 3:
        raise Malformed(f"token has {len(parts)} parts, expected 3", code=f"{step}.malformed")
    header, payload, signature = (_from_base64url(part, step) for part in parts)
    try:
        members = parse(header, limits=Limits(size_bytes_max=HEADER_BYTES_MAX, depth_max=1))
    except Malformed as error:
        raise Malformed(f"token header: {error.message}", code=f"{step}.malformed") from None
    if not isinstance(members, dict):
        raise Malformed("token header is not a JSON object", code=f"{step}.malformed")
    signing_input = token[: len(parts[0]) + 1 + len(parts[1])].encode("ascii")
    return CompactJWS(header=members, payload=payload, signing_input=signing_input, signature=signature)


def check_compact(jws: CompactJWS, key: PublicKey, *, step: str) -> None:
    """Check algorithm and signature against one key.

    Raises Unverified: `<step>.algorithm` unless the header names the key's own, `<step>.signature`.
    """
    prepared = verifying_key(key)
    expected = JOSE_NAMES[prepared.algorithm]
    if jws.header.get("alg") != expected:
        got = shown(jws.header.get("alg"), 40)
        raise Unverified(
            f"expected algorithm {expected} for this key, got {got}", code=f"{step}.algorithm", step=step
        )
    try:
        prepared.verify(jws.signing_input, jws.signature)
    except Unverified:
        raise Unverified("the signature does not fit", code=f"{step}.signature", step=step) from None


def verified_claims(
    token: str,
    *,
    typ: str,
    step: str,
    issuer_of: Callable[[Mapping[str, JSONValue]], str],
    keys_of: Callable[[str], Iterable[PublicKey]],
) -> dict[str, JSONValue]:
    """The claims of a statement of kind `typ`, signed by a key of the issuer that `issuer_of` finds in them.

    Raises Malformed (`<step>.malformed`, and what `issuer_of` raises) and Unverified (`<step>.type`, `<step>.key`,
    `<step>.algorithm`, `<step>.signature`).
    """
    jws = read_compact(token, step=step)
    if jws.header.keys() != _HEADER_MEMBERS or not all(
        isinstance(value, str) for value in jws.header.values()
    ):
        raise Malformed(
            "token header must have `alg`, `kid` and `typ`, and nothing else", code=f"{step}.malformed"
        )
    if jws.header["typ"] != typ:
        got = shown(jws.header["typ"], 40)
        raise Unverified(f"expected a token of type {typ}, got {got}", code=f"{step}.type", step=step)
    if jws.header["alg"] not in JOSE_NAMES.values():
        got = shown(jws.header["alg"], 40)
        raise Unverified(f"algorithm {got} is not accepted", code=f"{step}.algorithm", step=step)
    try:
        limits = Limits(size_bytes_max=TOKEN_CHARS_MAX, depth_max=PAYLOAD_DEPTH_MAX)
        claims = parse(jws.payload, limits=limits)
    except Malformed as error:
        raise Malformed(f"token claims: {error.message}", code=f"{step}.malformed") from None
    if not isinstance(claims, dict):
        raise Malformed("token claims are not a JSON object", code=f"{step}.malformed")
    issuer = issuer_of(claims)
    for key in keys_of(issuer):
        if key.thumbprint == jws.header["kid"]:
            check_compact(jws, key, step=step)
            return claims
    kid = shown(jws.header["kid"], 60)
    raise Unverified(f"key {kid} is not registered for {shown(issuer)}", code=f"{step}.key", step=step)


def signed_statement(claims: Mapping[str, JSONValue], *, typ: str, key: SigningKey) -> str:
    """The compact token over the canonical JSON of the claims. Raises Malformed (`json.*`, `statement.size`)."""
    header: JSONValue = {"alg": JOSE_NAMES[key.algorithm], "kid": key.public.thumbprint, "typ": typ}
    signing_input = f"{to_base64url(encode(header))}.{to_base64url(encode(dict(claims)))}"
    token = f"{signing_input}.{to_base64url(key.sign(signing_input.encode('ascii')))}"
    if len(token) > TOKEN_CHARS_MAX:
        message = (
            f"the signed statement would have {len(token)} characters, expected at most {TOKEN_CHARS_MAX}"
        )
        raise Malformed(message, code="statement.size")
    return token


def _from_base64url(part: str, step: str) -> bytes:
    """RFC 7515, section 2, and no second spelling of the same bytes."""
    if _BASE64URL.fullmatch(part) and len(part) % 4 != 1:
        octets = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        if to_base64url(octets) == part:
            return octets
    raise Malformed("a part of the token is not base64url without padding", code=f"{step}.malformed")
