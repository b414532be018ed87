"""Authorities, their keys and foreign bundles that live as long as the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.identity.authority import AuthoritySet
    from answerable.core.identity.spiffe_id import TrustDomain

PORT: Final = "authority_keys"
_SHA256: Final = ec.ECDSA(hashes.SHA256())


class MemoryAuthorityRegister:
    """Port AuthorityRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: AuthoritySet | None = None
        self._federated: dict[TrustDomain, bytes] = {}

    def read(self) -> AuthoritySet | None:
        """As the port says."""
        return self._current

    def replace(self, after: AuthoritySet, *, expected: int | None) -> bool:
        """As the port says."""
        with self._lock:
            found = None if self._current is None else self._current.revision
            if found != expected:
                return False
            self._current = after
            return True

    def federated(self) -> Mapping[TrustDomain, bytes]:
        """As the port says."""
        with self._lock:
            return dict(self._federated)

    def keep_federated(self, domain: TrustDomain, document: bytes) -> None:
        """As the port says."""
        with self._lock:
            self._federated[domain] = document

    def drop_federated(self, domain: TrustDomain) -> bool:
        """As the port says."""
        with self._lock:
            return self._federated.pop(domain, None) is not None


class MemoryAuthorityKeys:
    """Port AuthorityKeys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}

    def create(self, name: str) -> ec.EllipticCurvePublicKey:
        """As the port says."""
        with self._lock:
            if name in self._keys:
                raise Unavailable(f"there is a key `{name}` already", code="authority_keys.exists", port=PORT)
            key = self._keys[name] = ec.generate_private_key(ec.SECP256R1())
        return key.public_key()

    def public(self, name: str) -> ec.EllipticCurvePublicKey | None:
        """As the port says."""
        key = self._keys.get(name)
        return None if key is None else key.public_key()

    def sign(self, name: str, message: bytes) -> bytes:
        """As the port says."""
        key = self._keys.get(name)
        if key is None:
            raise Unavailable(f"there is no key `{name}`", code="authority_keys.missing", port=PORT)
        return key.sign(message, _SHA256)

    def destroy(self, name: str) -> None:
        """As the port says."""
        with self._lock:
            self._keys.pop(name, None)
