"""Adapt a private key held in another process or device to the interface that cryptography and joserfc sign with.

Law: the key signs with ECDSA over SHA-256 on P-256 and nothing else; any access to the secret is refused, since this
process does not have the secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from answerable.errors import Broken
from answerable.errors.codes.identity import PORT_KEY_USE

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives import serialization

CURVE_BITS = 256


class PortKey(ec.EllipticCurvePrivateKey):
    """A remote private key for `CertificateBuilder.sign` and, through `jose_key_of`, for joserfc. Its repr contains
    nothing of the key.

    sign: ECDSA over SHA-256 of the message passed in, as DER; its exceptions pass through. Every other use raises
    Broken (`port_key.use`).
    """

    __slots__ = ("_public", "_sign")

    def __init__(self, public_key: ec.EllipticCurvePublicKey, sign: Callable[[bytes], bytes]) -> None:
        """Wrap a key. Raises Broken (`port_key.use`) for a public key that is not on P-256."""
        if not isinstance(public_key.curve, ec.SECP256R1):
            raise _unfit("a key on another curve than P-256")
        self._public = public_key
        self._sign = sign

    def __repr__(self) -> str:
        return "PortKey(P-256)"

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half of the key."""
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve of the key, P-256."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve's field."""
        return CURVE_BITS

    def sign(
        self, data: bytes | bytearray | memoryview, signature_algorithm: ec.EllipticCurveSignatureAlgorithm
    ) -> bytes:
        """Sign, as DER (RFC 3279, section 2.2.3). Raises Broken for another algorithm, and what the port raises."""
        algorithm = signature_algorithm.algorithm
        if not isinstance(signature_algorithm, ec.ECDSA) or not isinstance(algorithm, hashes.SHA256):
            raise _unfit("another signature than ECDSA over SHA-256")
        return self._sign(bytes(data))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """Raise Broken: refused."""
        raise _unfit("a key exchange")

    def private_numbers(self) -> NoReturn:
        """Raise Broken: refused."""
        raise _unfit("the private number")

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> NoReturn:
        """Raise Broken: refused."""
        raise _unfit("the private key")

    def __copy__(self) -> PortKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> PortKey:
        return self


def jose_key_of(key: ec.EllipticCurvePrivateKey) -> ECKey:
    """Wrap a key for joserfc. The public members are passed in explicitly, since joserfc would otherwise read the
    private number merely to look up `use`."""
    return ECKey(key, ECKey.import_key(key.public_key()).as_dict())


def _unfit(what: str) -> Broken:
    return PORT_KEY_USE(f"the key of an authority was used for {what}")
