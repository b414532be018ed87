"""The key that Security Event Tokens are signed with: RSA with RS256, as receivers of CAEP's interoperability profile
demand (at least 2048 bits), and nothing but them.

Law: no token of ours is believed by this key. It stands in a key set of its own, so that whoever checks access tokens
never comes across it.
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
    """A private key. Its repr shows the thumbprint alone."""

    __slots__ = ("_key", "_registry", "kid")

    def __init__(self, pem: bytes) -> None:
        """pem: PKCS #8. Raises Malformed (`key.kind`); the message holds nothing of the key."""
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
        """As strangers get it (RFC 7517)."""
        members = self._key.as_dict(private=False)
        found: dict[str, JSONValue] = {name: str(members[name]) for name in ("kty", "n", "e")}
        return {**found, "kid": self.kid, "use": "sig", "alg": ALGORITHM}

    def signed(self, claims: Mapping[str, JSONValue], *, typ: str) -> str:
        """A token in compact form. Raises Malformed (`json.*`)."""
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": typ}
        return jose.serialize_compact(header, encode(dict(claims)), self._key, registry=self._registry)
