"""Deterministic randomness for tests."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


class SeededEntropy:
    """Implements `ports.entropy.Entropy` with SHA-256 over a seed and a counter. For tests and simulations only."""

    __slots__ = ("_counter", "_seed")

    def __init__(self, seed: int | str = 0) -> None:
        self._seed: Final = str(seed).encode()
        self._counter = 0

    def bytes(self, count: int) -> bytes:
        """Return `count` bytes, determined by the seed and the earlier calls."""
        blocks = bytearray()
        while len(blocks) < count:
            self._counter += 1
            blocks += sha256(b"%b/%d" % (self._seed, self._counter)).digest()
        return bytes(blocks[:count])

    def token(self) -> str:
        """Return 26 characters of Crockford base 32 in lower case."""
        number = int.from_bytes(self.bytes(16), "big")
        return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
