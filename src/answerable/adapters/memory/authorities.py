"""Authorities, their keys and foreign bundles that live as long as the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.errors import Unavailable

if TYPE_CHECKING:
    pass

PORT: Final = "authority_keys"
_SHA256: Final = ec.ECDSA(hashes.SHA256())


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
