"""The key that signs Security Event Tokens: RSA with RS256, as CAEP's interoperability profile requires (at least 2048
bits). Nothing else is signed with it.

Law: no other token of ours is accepted under this key. The key is published in a key set of its own, so that a verifier
of access tokens never loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jws as jose
from joserfc.jwk import RSAKey

from answerable.core.canonical import encode
from answerable.errors.codes.identity import KEY_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

ALGORITHM: Final = "RS256"
BITS: Final = 3_072
BITS_MIN: Final = 2_048
EXPONENT: Final = 65_537


class EventKey:
    """A private RSA key. Its repr contains the thumbprint alone."""

    __slots__ = ("_key", "_registry", "kid")

    def __init__(self, pem: bytes) -> None:
        """Load a key. pem: PKCS #8. Raises Malformed (`key.kind`); the message contains nothing of the key."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < BITS_MIN:
            raise KEY_KIND(f"events are signed with an RSA key of at least {BITS_MIN} bits in PEM")
        self._key: Final = RSAKey.import_key(key)
        self._registry: Final = jose.JWSRegistry(algorithms=[ALGORITHM])
        self.kid: Final[str] = self._key.thumbprint()

    def __repr__(self) -> str:
        return f"EventKey({ALGORITHM}, {self.kid})"

    def public_jwk(self) -> dict[str, JSONValue]:
        """Return the public key in its published form (RFC 7517)."""
        members = self._key.as_dict(private=False)
        found: dict[str, JSONValue] = {name: str(members[name]) for name in ("kty", "n", "e")}
        return {**found, "kid": self.kid, "use": "sig", "alg": ALGORITHM}

    def signed(self, claims: Mapping[str, JSONValue], *, typ: str) -> str:
        """Sign the claims as a compact token. Raises Malformed (`json.*`)."""
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": typ}
        return jose.serialize_compact(header, encode(dict(claims)), self._key, registry=self._registry)
