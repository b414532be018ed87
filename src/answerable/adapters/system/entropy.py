"""Provide random bytes from the system's generator."""

from __future__ import annotations

import os
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
# 128 bits as 13 pairs of characters, 10 bits each, from the top; the first pair has the 2 missing bits as zeros.
_SHIFTS: Final = tuple(range(120, -1, -10))
_TOKEN_BYTES: Final = 16


class SystemEntropy:
    """Implements `ports.entropy.Entropy` with getrandom(2). No state is stored between calls, so a fork shares
    nothing."""

    __slots__ = ()

    # Each action needs them three times: no call in between.
    bytes = staticmethod(os.urandom)

    def token(self) -> str:
        """Return a new name of 128 random bits, 26 characters of Crockford base 32 in lower case; takes 1 µs."""
        number = int.from_bytes(os.urandom(_TOKEN_BYTES), "big")
        return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
