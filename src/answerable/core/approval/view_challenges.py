"""How much is kept of what people opened, and what a person's haste is counted as."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Literal

PER_OPENING_MAX: Final = 32
"""Nonces open at a time for one thing; past it the oldest of whoever opened it most often is good no longer, so nobody
can keep another person from answering by opening it again and again."""
OF_ONE_MAX: Final = 256
"""Nonces that one person or workflow has open at a time; past it their oldest is good no longer. So there are no more
in all than this for each that is registered."""
OF_UNKNOWN_MAX: Final = 4_096
"""The same of all together of whom it is not known who opens, as at the control API."""
LOOKS_MAX: Final = 50_000
"""Kept in all, by person and thing; past it the oldest is forgotten, and begins anew."""
LOOK_MILLIS_MAX: Final = 604_800_000
"""How long is kept since when a person has had something before them: as long as any question may wait."""

Haste = Literal["approve", "break_glass"]
"""What a person may say so many times and no more."""


def nonce_digest(nonce: bytes) -> bytes:
    """By which a nonce is kept: whoever reads a register cannot answer with what it has. SHA-256 of 32 random bytes."""
    return sha256(nonce).digest()
