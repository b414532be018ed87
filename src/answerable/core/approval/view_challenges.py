"""Bounds on stored openings and nonces, and the kinds of answers counted against haste."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Literal

PER_OPENING_MAX: Final = 32
"""Nonces open at a time for one item. Past it the oldest nonce of whoever opened the item most often expires, so that
nobody can keep another person from answering by opening it repeatedly."""
OF_ONE_MAX: Final = 256
"""Nonces that one person or workflow has open at a time; past it their oldest expires. This bounds the total by the
number of registered people and workflows."""
OF_UNKNOWN_MAX: Final = 4_096
"""The same, for all unidentified callers together, as at the control API."""
LOOKS_MAX: Final = 50_000
"""Openings stored in total, by person and item; past it the oldest is removed and starts anew."""
LOOK_MILLIS_MAX: Final = 604_800_000
"""How long the time of an opening is stored: as long as any approval may be pending."""

Haste = Literal["approve", "break_glass"]
"""Kinds of answers with a limit per person."""


def nonce_digest(nonce: bytes) -> bytes:
    """Return the digest under which a nonce is stored, so that a reader of the register cannot answer. SHA-256 of 32
    random bytes."""
    return sha256(nonce).digest()
