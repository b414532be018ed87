"""Port: private keys of the trust domain's authorities, in files, an HSM or a KMS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


class AuthorityKeys(Protocol):
    """Promises: keys are ECDSA on P-256 and never leave the store; `create` returns once the key survives a crash; a
    destroyed key signs nothing more; names are `[a-z0-9-]{1,64}`. Blocking: call from a worker thread where latency
    matters. Raises only Unavailable (`authority_keys.*`)."""

    def create(self, name: str) -> EllipticCurvePublicKey:
        """Create a key pair. Raises Unavailable (`authority_keys.exists`) when the name is taken."""
        ...

    def public(self, name: str) -> EllipticCurvePublicKey | None:
        """Return the public key, or None when there is no such key."""
        ...

    def sign(self, name: str, message: bytes) -> bytes:
        """Sign with ECDSA over SHA-256 of the message; the signature is DER (RFC 3279, section 2.2.3). Raises
        Unavailable (`.missing`)."""
        ...

    def destroy(self, name: str) -> None:
        """Make the key permanently unusable. Idempotent."""
        ...
