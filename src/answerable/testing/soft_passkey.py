"""A software authenticator for tests: creates passkeys and signs, byte for byte as a browser would return it.

Its keys are derived from a seed, and a test can set every property that it reports.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.identity.people.passkey import PasskeyAssertion
from answerable.core.identity.people.passkey_registration import PasskeyRegistration

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

UP: Final = 0x01
UV: Final = 0x04
BACKUP_ELIGIBLE: Final = 0x08
BACKED_UP: Final = 0x10
ATTESTED_DATA: Final = 0x40
ORIGIN: Final = "http://localhost:8768"
RP_ID: Final = "localhost"


@dataclass(slots=True, kw_only=True)
class SoftPasskey:
    """One credential. count: signatures so far; counts: whether it reports them. backup: whether it may be copied to
    other devices."""

    seed: str = "passkey"
    origin: str = ORIGIN
    rp_id: str = RP_ID
    count: int = 0
    counts: bool = True
    backup: bool = False
    aaguid: bytes = bytes(16)
    _key: ec.EllipticCurvePrivateKey = field(init=False)

    def __post_init__(self) -> None:
        number = int.from_bytes(sha256(f"soft passkey {self.seed}".encode()).digest()) >> 8
        self._key = ec.derive_private_key(number, ec.SECP256R1())

    @property
    def id(self) -> bytes:
        """The credential id."""
        return sha256(f"credential {self.seed}".encode()).digest()

    @property
    def public_key(self) -> bytes:
        """The public key as a COSE key."""
        from webauthn.helpers import encode_cbor

        numbers = self._key.public_key().public_numbers()
        members = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        return encode_cbor(members)

    def registration(
        self, challenge: bytes, *, flags: int = UP | UV, client: dict[str, JSONValue] | None = None
    ) -> PasskeyRegistration:
        """Return the result of `navigator.credentials.create`. client: members of the client data to falsify."""
        from webauthn.helpers import encode_cbor

        flags |= ATTESTED_DATA | (BACKUP_ELIGIBLE if self.backup else 0)
        data = self._head(flags, 0) + self.aaguid + len(self.id).to_bytes(2) + self.id + self.public_key
        return PasskeyRegistration(
            credential_id=self.id,
            client_data=self._ceremony("webauthn.create", challenge, client),
            attestation=encode_cbor({"fmt": "none", "attStmt": {}, "authData": data}),
            transports=("internal",),
        )

    def assertion(
        self, challenge: bytes, *, flags: int = UP | UV, client: dict[str, JSONValue] | None = None
    ) -> PasskeyAssertion:
        """Return the result of `navigator.credentials.get`."""
        self.count += 1
        flags |= BACKUP_ELIGIBLE if self.backup else 0
        data = self._head(flags, self.count if self.counts else 0)
        client_data = self._ceremony("webauthn.get", challenge, client)
        signature = self._key.sign(data + sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return PasskeyAssertion(
            credential_id=self.id, client_data=client_data, authenticator_data=data, signature=signature
        )

    def _head(self, flags: int, count: int) -> bytes:
        return sha256(self.rp_id.encode()).digest() + bytes([flags]) + count.to_bytes(4)

    def _ceremony(self, kind: str, challenge: bytes, client: dict[str, JSONValue] | None) -> bytes:
        said: dict[str, JSONValue] = {
            "type": kind,
            "challenge": to_base64url(challenge),
            "origin": self.origin,
            "crossOrigin": False,
        }
        return encode({**said, **(client or {})})
