"""Store static secrets in sealed files that only the broker can read."""

from __future__ import annotations

from answerable.adapters.secret_store.issuer import StaticIssuer
from answerable.adapters.secret_store.keyring import Keyring
from answerable.adapters.secret_store.store import SealedSecretStore

__all__ = ["Keyring", "SealedSecretStore", "StaticIssuer"]
