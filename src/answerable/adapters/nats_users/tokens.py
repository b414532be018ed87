"""Sign and verify NATS tokens: JWTs of operators, accounts and users, signed with Ed25519 keys in NATS notation
(nkeys).

Laws: a lease's key is derived from the account's key and the lease's name, so a process that can issue can also
identify issued users, even after a crash; an external token is used only if a configured key signed it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import nkeys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode, parse
from answerable.errors import Malformed
from answerable.errors.codes.leases import TARGET_KEY, TARGET_TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.name import LeaseName

_HEADER: Final = to_base64url(encode({"alg": "ed25519-nkey", "typ": "JWT"}))
_LEASE_KEY: Final = b"answerable nats lease key 1\n"
PUBLIC_KEY_CHARS: Final = 56
KEY_OCTETS: Final = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private NATS key. public: its public key, 56 characters, of which the first states the kind of key."""

    _pair: Any = field(repr=False)
    public: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "public", bytes(self._pair.public_key).decode())

    @property
    def seed(self) -> str:
        """The private key in NATS notation: a secret."""
        return bytes(self._pair.seed).decode()

    def sign(self, octets: bytes) -> bytes:
        """Return the signature, 64 octets."""
        return bytes(self._pair.sign(octets))

    def key_of(self, name: LeaseName) -> SigningKey:
        """Derive the user key of one lease."""
        raw = hmac.digest(bytes(nkeys.decode_seed(self._pair.seed)[1]), _LEASE_KEY + name.encode(), sha256)
        return SigningKey(nkeys.from_seed(bytearray(nkeys.encode_seed(raw, nkeys.PREFIX_BYTE_USER))))


def signing_key(seed: str, *, of: str) -> SigningKey:
    """Parse a seed, which begins with `S` and the letter of the kind `of`. Raises Malformed (`target.key`)."""
    try:
        pair = nkeys.from_seed(bytearray(seed.strip().encode()))
        key = SigningKey(pair)
        if not key.public.startswith(of):
            raise ValueError
    except (nkeys.NkeysError, ValueError, IndexError):
        raise TARGET_KEY(f"expected a NATS seed that begins with `S{of}`") from None
    return key


def is_public_key(text: str, *, of: str) -> bool:
    """Whether the text is a public key of this kind."""
    return text.startswith(of) and _octets_of(text) is not None


def token(claims: Mapping[str, JSONValue], key: SigningKey) -> str:
    """Sign claims and return the token. `iss` and `jti` are added."""
    whole: dict[str, JSONValue] = {**claims, "iss": key.public}
    whole["jti"] = base64.b32encode(sha256(encode(whole)).digest()).decode().rstrip("=")
    signed = f"{_HEADER}.{to_base64url(encode(whole))}"
    return f"{signed}.{to_base64url(key.sign(signed.encode()))}"


def verified_claims(text: str, *, signers: frozenset[str], subject: str) -> dict[str, JSONValue]:
    """Return the claims of a token about `subject`, if one of the public keys `signers` signed it. Raises Malformed
    (`target.token`)."""
    head, _, rest = text.partition(".")
    body, _, signature = rest.partition(".")
    try:
        claims = parse(_decoded(body))
        signer = claims.get("iss") if isinstance(claims, dict) else None
        public = _octets_of(signer) if isinstance(signer, str) and signer in signers else None
        if not isinstance(claims, dict) or public is None or claims.get("sub") != subject:
            raise ValueError
        # Version 1 tokens signed only their claims; no supported server uses them.
        Ed25519PublicKey.from_public_bytes(public).verify(_decoded(signature), f"{head}.{body}".encode())
    except (ValueError, InvalidSignature, Malformed):
        raise TARGET_TOKEN() from None
    return claims


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _octets_of(public: str) -> bytes | None:
    """Return the 32 octets of a public key; None if its checksum is wrong."""
    if len(public) != PUBLIC_KEY_CHARS:
        return None
    try:
        octets = base64.b32decode(public)
    except (binascii.Error, ValueError):
        return None
    if nkeys.crc16(octets[:-2]) != int.from_bytes(octets[-2:], "little"):
        return None
    return octets[1 : 1 + KEY_OCTETS]
