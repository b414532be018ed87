"""Find the one key in a foreign issuer's JWK Set that may have signed a token.

Laws: the algorithm must fit the key's type and, if the key names its use or algorithm, those too; a key id that occurs
twice identifies no key; symmetric keys, and keys that expose their private half, are skipped.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey

from answerable.core.canonical import Limits, parse
from answerable.errors import Malformed, shown
from answerable.errors.codes.workloads import OIDC_KEY, OIDC_KEY_SET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

KEY_SET_BYTES_MAX: Final = 262_144
KEYS_MAX: Final = 64
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192

ALGORITHMS: Final[Mapping[str, tuple[str, str]]] = {
    **{f"{family}{bits}": ("RSA", "") for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "Ed25519": ("OKP", "Ed25519"),
    # The older, polymorphic name (RFC 8037) for what RFC 9864 calls Ed25519; accepted only for keys on that curve.
    "EdDSA": ("OKP", "Ed25519"),
}
"""Accepted values of `alg`, with `kty` and `crv` of the keys that fit."""

_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{1,2048}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    algorithm: str
    kind: str
    curve: str


def key_ids(key_set: bytes) -> frozenset[str]:
    """Return the key ids in a set. Raises Malformed (`oidc.key_set`)."""
    return frozenset(kid for key in _keys(key_set) if isinstance(kid := key.get("kid"), str))


def issuer_key(key_set: bytes, *, kid: str | None, algorithm: str) -> RSAKey | ECKey | OKPKey:
    """Return the key that `kid` names, if it fits `algorithm`; without a `kid` the only key that fits.

    Raises Malformed (`oidc.key_set`) and Unverified (`oidc.key`).
    """
    kind, curve = ALGORITHMS[algorithm]
    wanted = _Wanted(algorithm=algorithm, kind=kind, curve=curve)
    keys = [key for key in _keys(key_set) if kid is None or key.get("kid") == kid]
    if kid is not None and len(keys) > 1:
        raise OIDC_KEY(f"the issuer publishes {len(keys)} keys with the id {shown(kid, 60)}, expected one")
    fitting = [key for key in keys if _fits(key, wanted)]
    if len(fitting) != 1:
        name = shown(kid, 60) if kid is not None else "without an id"
        raise OIDC_KEY(
            f"the issuer publishes {len(fitting)} keys {name} for {shown(algorithm, 20)}, expected one"
        )
    try:
        return _imported(fitting[0], wanted)
    except (ValueError, KeyError):
        raise OIDC_KEY(f"the issuer's key {shown(kid, 60)} is not a valid {kind} key") from None


def _keys(key_set: bytes) -> list[dict[str, JSONValue]]:
    try:
        value = parse(key_set, limits=Limits(size_bytes_max=KEY_SET_BYTES_MAX, depth_max=8))
    except Malformed as error:
        raise OIDC_KEY_SET(f"the issuer's key set: {error.message}") from None
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or len(keys) > KEYS_MAX:
        raise OIDC_KEY_SET(f"the issuer's key set has no list `keys` of at most {KEYS_MAX}")
    return [key for key in keys if isinstance(key, dict)]


def _fits(key: Mapping[str, JSONValue], wanted: _Wanted) -> bool:
    operations = key.get("key_ops", ["verify"])
    names = {wanted.algorithm, "EdDSA", "Ed25519"} if wanted.kind == "OKP" else {wanted.algorithm}
    return (
        key.get("kty") == wanted.kind
        and (not wanted.curve or key.get("crv") == wanted.curve)
        and key.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and key.get("alg", wanted.algorithm) in names
        and _PRIVATE_MEMBERS.isdisjoint(key)
    )


def _imported(key: Mapping[str, JSONValue], wanted: _Wanted) -> RSAKey | ECKey | OKPKey:
    """Import the key from its required members only: certificates and URLs beside them are ignored."""
    if wanted.kind == "RSA":
        modulus, exponent = _number(key["n"]), _number(key["e"])
        if not RSA_BITS_MIN <= modulus.bit_length() <= RSA_BITS_MAX or not 3 <= exponent < 2**32:
            raise ValueError("size")
        return RSAKey.import_key(rsa.RSAPublicNumbers(exponent, modulus).public_key())
    if wanted.kind == "EC":
        curve = _CURVES[wanted.curve]
        return ECKey.import_key(
            ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), curve).public_key()
        )
    return OKPKey.import_key(ed25519.Ed25519PublicKey.from_public_bytes(_octets(key["x"])))


def _number(value: JSONValue) -> int:
    return int.from_bytes(_octets(value), "big")


def _octets(value: JSONValue) -> bytes:
    if not isinstance(value, str) or not _BASE64URL.fullmatch(value):
        raise ValueError("base64url")
    return urlsafe_b64decode(value + "=" * (-len(value) % 4))
