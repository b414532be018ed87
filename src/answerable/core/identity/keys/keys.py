"""Keys of callers and issuers: validate JWKs strictly, then sign and verify with prepared keys.

Laws:
- a key has one form: `public_key` keeps only the members RFC 7638 hashes, in their canonical order;
- the algorithm follows from the key alone, never from what a message claims;
- Ed25519 keys outside the prime-order group are refused at registration; libsodium refuses at verification what RFC
 8032 leaves open (non-canonical or low-order points, S not below the group order); where joserfc verifies, OpenSSL also
 bounds S, and compares R byte for byte with the expected value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from joserfc.jwk import ECKey, OKPKey
from nacl import bindings
from nacl.exceptions import BadSignatureError

from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.canonical import encode, parse
from answerable.errors import shown
from answerable.errors.codes.identity import (
    KEY_KIND,
    KEY_MEMBER,
    KEY_NOT_ED25519,
    KEY_NOT_PRIVATE,
    KEY_PAIR,
    KEY_POINT,
    KEY_PRIVATE,
    KEY_SEED,
)
from answerable.errors.codes.tlog import PROOF_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

Algorithm = Literal["ed25519", "ecdsa-p256-sha256"]
"""Algorithm names of RFC 9421, section 6.2.2."""

SEED_BYTES: Final[Mapping[Algorithm, int]] = {"ed25519": 32, "ecdsa-p256-sha256": 48}
"""Random bytes that `new_private_jwk` takes. P-256 takes 128 bits more than the size of its order, which makes the bias
of the remainder negligible (FIPS 186-5, A.2.1)."""
SIGNATURE_BYTES: Final = 64
PREPARED_KEYS_MAX: Final = 4096

_COORDINATE_BYTES: Final = 32
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SHA256: Final = ec.ECDSA(hashes.SHA256())
# RFC 6979: the nonce follows from key and message, so that signing needs no randomness.
_SHA256_DETERMINISTIC: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)

# Optional members of a public JWK, and the only values that agree with the key.
_REMARKS: Final[Mapping[Algorithm, Mapping[str, tuple[JSONValue, ...]]]] = {
    "ed25519": {"alg": ("Ed25519", "EdDSA"), "use": ("sig",), "key_ops": (["verify"],)},
    "ecdsa-p256-sha256": {"alg": ("ES256",), "use": ("sig",), "key_ops": (["verify"],)},
}
_KID_CHARS_MAX: Final = 128
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key as a JWK (RFC 7517): OKP/Ed25519 or EC/P-256. thumbprint: RFC 7638 SHA-256, base64url.

    Only `public_key`, which validates, makes it. jwk: canonical JSON with the required members only.
    """

    jwk: str
    thumbprint: str


def public_key(jwk: dict[str, JSONValue] | str) -> PublicKey:
    """Validate a public JWK, given as a mapping or as JSON text, and convert it to canonical form.

    `kid`, `use`, `alg` and `key_ops` are accepted if they agree with the key, and dropped. Raises Malformed:
    `key.private` for a private or symmetric member (the message never contains its value), `key.kind`, `key.member`,
    `key.point`, `json.*`.
    """
    return _public_key(_members(jwk))


def verify_signature(key: PublicKey, message: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature (RFC 8032) or a P-256 signature in its 64-byte form r || s (RFC 7518, section 3.4).

    Raises Unverified (`proof.signature`), and Malformed if the key was not made by `public_key`.
    """
    verifying_key(key).verify(message, signature)


@lru_cache(maxsize=PREPARED_KEYS_MAX)
def verifying_key(key: PublicKey) -> VerifyingKey:
    """Return the prepared form of a key. Cached, since preparing costs up to a third of a verification."""
    return VerifyingKey(key)


class VerifyingKey:
    """A public key prepared for checking signatures. Immutable."""

    __slots__ = ("_curve_key", "_ed25519", "algorithm", "thumbprint")

    def __init__(self, key: PublicKey) -> None:
        members = _members(key.jwk)
        self.thumbprint: Final = key.thumbprint
        self.algorithm: Final[Algorithm] = _algorithm(members)
        self._ed25519 = b""
        self._curve_key: ec.EllipticCurvePublicKey | None = None
        if self.algorithm == "ed25519":
            self._ed25519 = _coordinate(members, "x")
        else:
            self._curve_key = _p256(members)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature. Raises Unverified (`proof.signature`)."""
        if len(signature) != SIGNATURE_BYTES:
            raise PROOF_SIGNATURE()
        try:
            if self._curve_key is None:
                bindings.crypto_sign_open(signature + message, self._ed25519)
            else:
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                self._curve_key.verify(encode_dss_signature(r, s), message, _SHA256)
        except (BadSignatureError, InvalidSignature):
            raise PROOF_SIGNATURE() from None

    def jose_key(self) -> OKPKey | ECKey:
        """Return the key as the object that joserfc verifies with."""
        if self._curve_key is None:
            return OKPKey.import_key(ed25519.Ed25519PublicKey.from_public_bytes(self._ed25519))
        return ECKey.import_key(self._curve_key)


class SigningKey:
    """A private key. Its repr contains the thumbprint only; the secret is exposed only through `jose_key`."""

    __slots__ = ("_curve_key", "_ed25519", "algorithm", "public")

    def __init__(self, private_jwk: dict[str, JSONValue] | str) -> None:
        """Load a private JWK. Raises Malformed (`key.*`); no message contains anything of the key."""
        members = dict(_members(private_jwk))
        if "d" not in members:
            raise KEY_NOT_PRIVATE()
        secret = _coordinate(members, "d")
        del members["d"]
        self.public: Final = _public_key(members)
        self.algorithm: Final[Algorithm] = _algorithm(members)
        self._ed25519 = b""
        self._curve_key: ec.EllipticCurvePrivateKey | None = None
        if self.algorithm == "ed25519":
            point, self._ed25519 = bindings.crypto_sign_seed_keypair(secret)
            fits = point == _coordinate(members, "x")
        else:
            number = int.from_bytes(secret, "big")
            if not 0 < number < _P256_ORDER:
                raise KEY_POINT("the private number is not in the range of its curve")
            self._curve_key = ec.derive_private_key(number, ec.SECP256R1())
            fits = self._curve_key.public_key().public_numbers() == _p256(members).public_numbers()
        if not fits:
            raise KEY_PAIR()

    def __repr__(self) -> str:
        return f"SigningKey({self.algorithm}, {self.public.thumbprint})"

    def sign(self, message: bytes) -> bytes:
        """Return a signature of 64 bytes: Ed25519 (RFC 8032), or r || s of deterministic ECDSA (RFC 6979)."""
        if self._curve_key is None:
            return bindings.crypto_sign(message, self._ed25519)[:SIGNATURE_BYTES]
        r, s = decode_dss_signature(self._curve_key.sign(message, _SHA256_DETERMINISTIC))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")

    def jose_key(self) -> OKPKey | ECKey:
        """Return the key as the object that joserfc signs with. It contains the secret: use it at once, and never store
        it."""
        if self._curve_key is None:
            seed = self._ed25519[:_COORDINATE_BYTES]
            return OKPKey.import_key(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
        return ECKey.import_key(self._curve_key)


def new_private_jwk(algorithm: Algorithm, seed: bytes) -> dict[str, JSONValue]:
    """Make a private JWK from `SEED_BYTES[algorithm]` fresh random bytes. Raises Malformed (`key.seed`)."""
    if len(seed) != SEED_BYTES[algorithm]:
        raise KEY_SEED(f"seed of {len(seed)} bytes, expected {SEED_BYTES[algorithm]}")
    if algorithm == "ed25519":
        point, _ = bindings.crypto_sign_seed_keypair(seed)
        return {"crv": "Ed25519", "d": to_base64url(seed), "kty": "OKP", "x": to_base64url(point)}
    number = int.from_bytes(seed, "big") % (_P256_ORDER - 1) + 1
    numbers = ec.derive_private_key(number, ec.SECP256R1()).public_key().public_numbers()
    d, x, y = (to_base64url(n.to_bytes(_COORDINATE_BYTES, "big")) for n in (number, numbers.x, numbers.y))
    return {"crv": "P-256", "d": d, "kty": "EC", "x": x, "y": y}


def ed25519_public(key: PublicKey) -> bytes:
    """Return the 32 bytes of an Ed25519 key. Raises Malformed (`key.not_ed25519`)."""
    octets = from_base64url_32(str(_members(key.jwk).get("x", "")))
    if octets is None or _members(key.jwk).get("kty") != "OKP":
        raise KEY_NOT_ED25519()
    return octets


def _members(jwk: dict[str, JSONValue] | str) -> dict[str, JSONValue]:
    value = parse(jwk.encode("utf-8", "surrogatepass")) if isinstance(jwk, str) else jwk
    if not isinstance(value, dict):
        raise KEY_KIND("a key must be a JSON object")
    return value


def _algorithm(members: Mapping[str, JSONValue]) -> Algorithm:
    kind = (members.get("kty"), members.get("crv"))
    if kind == ("OKP", "Ed25519"):
        return "ed25519"
    if kind == ("EC", "P-256"):
        return "ecdsa-p256-sha256"
    raise KEY_KIND(
        f"expected a key of kty OKP and crv Ed25519 or of kty EC and crv P-256, got {shown(kind[0], 40)} and "
        f"{shown(kind[1], 40)}"
    )


def _public_key(members: Mapping[str, JSONValue]) -> PublicKey:
    if not _PRIVATE_MEMBERS.isdisjoint(members):
        raise KEY_PRIVATE(
            "this key has a private part: register the public key only, and treat this key as disclosed"
        )
    algorithm = _algorithm(members)
    _check_remarks(members, algorithm)
    required: dict[str, JSONValue] = {"crv": members["crv"], "kty": members["kty"], "x": members.get("x")}
    if algorithm == "ed25519":
        if not _is_point(_coordinate(members, "x")):
            raise KEY_POINT("`x` is not a point of the prime-order group of Ed25519")
    else:
        required["y"] = members.get("y")
        _p256(members)
    canonical = encode(required)
    return PublicKey(jwk=canonical.decode("ascii"), thumbprint=to_base64url(sha256(canonical).digest()))


@lru_cache(maxsize=PREPARED_KEYS_MAX)
def _is_point(octets: bytes) -> bool:
    """Whether the octets are a valid Ed25519 key. Cached, since the check costs half of a verification, for each
    hop."""
    return bool(bindings.crypto_core_ed25519_is_valid_point(octets))


def _check_remarks(members: Mapping[str, JSONValue], algorithm: Algorithm) -> None:
    known = _REMARKS[algorithm]
    made_of = ("crv", "kty", "x") if algorithm == "ed25519" else ("crv", "kty", "x", "y")
    for name, value in members.items():
        if name in made_of:
            continue
        if name == "kid":
            fits = isinstance(value, str) and 0 < len(value) <= _KID_CHARS_MAX
        else:
            fits = value in known.get(name, ())
        if not fits:
            raise KEY_MEMBER(f"member {shown(name, 40)} is unknown or not of this kind of key")


def _coordinate(members: Mapping[str, JSONValue], name: str) -> bytes:
    text = members.get(name)
    octets = from_base64url_32(text) if isinstance(text, str) else None
    if octets is None:
        raise KEY_MEMBER(f"`{name}` must be 32 bytes in base64url without padding")
    return octets


def _p256(members: Mapping[str, JSONValue]) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(_coordinate(members, name), "big") for name in ("x", "y"))
    try:
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError:
        raise KEY_POINT("`x` and `y` are not a point of P-256") from None
