"""A store of static secrets on real files, by a clock that stands still."""

from __future__ import annotations

from pathlib import Path

from answerable.adapters.secret_store import Keyring, SealedSecretStore
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy

VALUE = b"sk-live-4242424242424242"


def store_in(folder: Path, *, clock: ManualClock | None = None, seed: int = 1) -> SealedSecretStore:
    entropy = SeededEntropy(seed)
    keyring = Keyring(folder / "keyring", entropy)
    return SealedSecretStore.open(folder / "secrets", keyring, clock=clock or ManualClock(), entropy=entropy)


def put(store: SealedSecretStore, name: str = "crm", value: bytes = VALUE, **more: object) -> None:
    given: dict[str, object] = {"kind": "static", "owner": "ann", "about": "the CRM", "rotate_days": 30}
    store.put(name, value, **(given | more))


def value_of(store: SealedSecretStore, name: str = "crm") -> bytes:
    return store.check_out(name, by="test").secret.reveal("value").encode()
