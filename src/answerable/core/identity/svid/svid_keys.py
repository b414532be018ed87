"""Public keys of SPIFFE authorities and workloads (RSA, and EC on P-256, P-384 and P-521), and the signatures they
verify.

Laws:
- a key has one form, its canonical JWK with the required members, and `alg` where the key had one that narrows;
- the key determines the permitted algorithms, of the nine that JWT-SVID section 2.1 and WIT-SVID section 2.3 name; a
 header may only choose among them, and EdDSA, MACs and `none` are never permitted;
- RSA has 2048 to 8192 bits and an exponent that fits 31 bits (NIST SP 800-131A; bounds the cost of one check).
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws as jose
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode, parse
from answerable.core.identity.keys.compact_jws import HEADER_BYTES_MAX, TOKEN_CHARS_MAX
from answerable.core.identity.keys.port_key import jose_key_of
from answerable.core.identity.names import spiffe_terms as terms
from answerable.errors import shown
from answerable.errors.codes.identity import (
    KEY_ALGORITHM,
    KEY_KIND,
    KEY_MEMBER,
    KEY_POINT,
    KEY_PRIVATE,
    SVID_ALGORITHM,
    SVID_SIGNATURE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.compact_jws import CompactJWS

RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192
RSA_EXPONENT_MAX: Final = 2**31 - 1
PREPARED_KEYS_MAX: Final = 1024
KID_CHARS_MAX: Final = 256
"""Maximum length of the name that a bundle gives a key."""

_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_JOSE_CURVES: Final = {curve.name: name for name, curve in _CURVES.items()}
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_VERIFYING_USES: Final = (terms.SIGNING_USE, terms.X509_SVID_USE, terms.JWT_SVID_USE, terms.WIT_SVID_USE)
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")

SVIDPublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class _OneAlgorithm(jose.JWSRegistry):
    """The only algorithm that joserfc may accept, with room for the longest token that `read_compact` accepts."""

    max_header_length = (HEADER_BYTES_MAX * 4 + 2) // 3  # characters of base64url
    max_payload_length = TOKEN_CHARS_MAX
    max_signature_length = (RSA_BITS_MAX // 8 * 4 + 2) // 3

    def __init__(self, name: str) -> None:
        super().__init__(algorithms=[name])


def canonical_jwk(members: Mapping[str, JSONValue]) -> str | None:
    """Validate a public JWK and convert it to canonical form. Return None for a kind of key that we do not use: another
    `kty`, `crv` or `alg`, RSA outside its bounds, or a key that `use` or `key_ops` (RFC 7517, sections 4.2 and 4.3)
    exclude from verifying. All members except those of the key and `alg` are dropped.

    Raises Malformed: `key.private` for a private or symmetric member, `key.kind` without `kty`, `key.member`,
    `key.point`.
    """
    if not _PRIVATE_MEMBERS.isdisjoint(members):
        raise KEY_PRIVATE("this key has a private part: treat it as disclosed")
    kind = members.get(terms.KTY)
    if not isinstance(kind, str):
        raise KEY_KIND("a key needs a `kty`")
    key: SVIDPublicKey | None = None
    if kind == "EC":
        name = members.get("crv")
        if not isinstance(name, str):
            raise KEY_MEMBER("an EC key needs a `crv`")
        curve = _CURVES.get(name)
        key = None if curve is None else _ec_key(members, curve)
    elif kind == "RSA":
        key = _rsa_key(members)
    alg = members.get(terms.ALG)
    if key is None or not _may_verify(members) or (alg is not None and alg not in algorithms_of(key)):
        return None
    return jwk_text(key, alg=alg)


def _may_verify(members: Mapping[str, JSONValue]) -> bool:
    operations = members.get(terms.KEY_OPS, [terms.VERIFY])
    fits = isinstance(operations, list) and terms.VERIFY in operations
    return fits and members.get(terms.USE, terms.SIGNING_USE) in _VERIFYING_USES


def jwk_text(key: SVIDPublicKey, *, alg: JSONValue = None) -> str:
    """Write the canonical JWK of a key. alg: included for RSA, where it narrows; for EC it follows from the curve.

    Raises Malformed (`key.algorithm`, `key.kind`).
    """
    algorithms = algorithms_of(key)
    if alg is not None and alg not in algorithms:
        raise KEY_ALGORITHM(f"`alg` {shown(alg, 40)} does not match this key")
    members: dict[str, JSONValue]
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        members = {"e": _from_integer(numbers.e), "kty": "RSA", "n": _from_integer(numbers.n)}
        if alg is not None:
            members[terms.ALG] = alg
    else:
        point = key.public_numbers()
        size = (key.curve.key_size + 7) // 8
        x, y = (to_base64url(number.to_bytes(size, "big")) for number in (point.x, point.y))
        members = {"crv": _JOSE_CURVES[key.curve.name], "kty": "EC", "x": x, "y": y}
    return encode(members).decode("ascii")


def thumbprint(jwk: str) -> str:
    """Return the RFC 7638 thumbprint (SHA-256, base64url) of a canonical JWK."""
    members = _members(jwk)
    members.pop(terms.ALG, None)
    return to_base64url(sha256(encode(members)).digest())


def accepted_key(key: object) -> SVIDPublicKey | None:
    """Return the key if its kind and size may sign or be named in an SVID, else None."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key if key.curve.name in _JOSE_CURVES else None
    if not isinstance(key, rsa.RSAPublicKey) or not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        return None
    return key if key.public_numbers().e <= RSA_EXPONENT_MAX else None


def algorithms_of(key: SVIDPublicKey, *, alg: str | None = None) -> tuple[str, ...]:
    """Return the `alg` names that fit a key. alg: the only permitted name, if the key's JWK has one. Raises Malformed
    (`key.kind`)."""
    if accepted_key(key) is None:
        raise KEY_KIND("expected RSA of 2048 to 8192 bits, or EC on P-256, P-384 or P-521")
    if alg is not None:
        return (alg,)
    if isinstance(key, rsa.RSAPublicKey):
        return terms.RSA_ALGORITHMS
    return (terms.EC_ALGORITHMS[_JOSE_CURVES[key.curve.name]],)


def check_token(jws: CompactJWS, jwk: str) -> None:
    """Check algorithm and signature of a token against one key, given as `canonical_jwk` wrote it.

    Raises Unverified: `svid.algorithm` unless the header names an algorithm that fits the key, `svid.signature`.
    """
    key, allowed = _prepared(jwk)
    name = jws.header.get(terms.ALG, "")
    if name not in allowed:
        raise SVID_ALGORITHM(
            f"algorithm {shown(name, 40)} does not match the key, expected one of {', '.join(allowed)}"
        )
    try:
        jose.deserialize_compact(jws.token, key, registry=_OneAlgorithm(name))
    except (JoseError, ValueError):
        # ValueError: OpenSSL rejects some malformed signatures before checking them.
        raise SVID_SIGNATURE() from None


def signed_token(header: dict[str, str], claims: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """Sign a compact token with ES256 by a P-256 key, which may be remote (`port_key`). Raises what the key raises."""
    name = terms.ISSUED_ALGORITHM
    return jose.serialize_compact(
        {**header, terms.ALG: name}, claims, jose_key_of(key), registry=_OneAlgorithm(name)
    )


@lru_cache(maxsize=PREPARED_KEYS_MAX)
def _prepared(jwk: str) -> tuple[ECKey | RSAKey, tuple[str, ...]]:
    members = _members(jwk)
    alg = members.get(terms.ALG)
    curve = _CURVES.get(str(members.get("crv")))
    if curve is not None:
        point = _ec_key(members, curve)
        return ECKey.import_key(point), algorithms_of(point)
    key = _rsa_key(members)
    if key is None:
        raise KEY_KIND("expected a key that `canonical_jwk` wrote")
    return RSAKey.import_key(key), algorithms_of(key, alg=alg if isinstance(alg, str) else None)


def _members(jwk: str) -> dict[str, JSONValue]:
    value = parse(jwk.encode("utf-8", "surrogatepass"))
    if not isinstance(value, dict):
        raise KEY_KIND("a key must be a JSON object")
    return value


def _ec_key(members: Mapping[str, JSONValue], curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    """Read an EC key (RFC 7518, section 6.2.1): coordinates of full length, of a point on the curve."""
    size = (curve.key_size + 7) // 8
    x, y = (_octets(members, name) for name in ("x", "y"))
    if len(x) != size or len(y) != size:
        raise KEY_MEMBER(f"coordinates of this curve have {size} bytes each")
    try:
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve)
        return numbers.public_key()
    except ValueError:
        raise KEY_POINT("`x` and `y` are not a point of the curve") from None


def _rsa_key(members: Mapping[str, JSONValue]) -> rsa.RSAPublicKey | None:
    """Read an RSA key (RFC 7518, section 6.3.1). Return None if it is outside our bounds."""
    modulus, exponent = (_octets(members, name) for name in ("n", "e"))
    if not modulus[0] or not exponent[0]:
        raise KEY_MEMBER("`n` and `e` have no leading zero bytes")
    n, e = int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")
    if not RSA_BITS_MIN <= n.bit_length() <= RSA_BITS_MAX or e > RSA_EXPONENT_MAX:
        return None
    try:
        return rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError:
        raise KEY_POINT("`n` and `e` are not an RSA key") from None


def _octets(members: Mapping[str, JSONValue], name: str) -> bytes:
    value = members.get(name)
    if isinstance(value, str) and _BASE64URL.fullmatch(value) and len(value) % 4 != 1:
        octets = urlsafe_b64decode(value + "=" * (-len(value) % 4))
        if to_base64url(octets) == value:
            return octets
    raise KEY_MEMBER(f"member `{name}` of a key is not base64url without padding")


def _from_integer(number: int) -> str:
    return to_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
