"""The log's ML-DSA-44 key, in addition to its Ed25519 key, if the settings ask for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.tlog_files import SecondKey
from answerable.core.tlog.note import VerifierKey

if TYPE_CHECKING:
    from answerable.ports.entropy import Entropy
    from answerable.wiring.setting_tree import Settings

SEED_BYTES: Final = 32


def second_key(settings: Settings, origin: str, entropy: Entropy) -> SecondKey | None:
    """Return the key, created at the first start; None without one. Raises Unavailable (`key.*`)."""
    if not settings.ledger.ml_dsa_44:
        return None
    shard = f"-{settings.ledger.shard}" if settings.ledger.shard else ""
    path = settings.data / "keys" / f"log{shard}-ml-dsa-44.seed"
    private = MLDSA44PrivateKey.from_seed_bytes(
        open_or_create_secret(path, count=SEED_BYTES, entropy=entropy)
    )
    public = private.public_key().public_bytes_raw()
    return SecondKey(key=VerifierKey.ml_dsa_44(origin, public), sign=private.sign)
