"""Port: the random number generator."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """Promises: unpredictable bytes from the system's generator; two calls never share state that an attacker can
    guess.

    Never blocks after start-up, never fails.
    """

    def bytes(self, count: int) -> bytes:
        """Return `count` random bytes."""
        ...

    def token(self) -> str:
        """Return a fresh name of 128 random bits, 26 characters of `0-9 a-z` (Crockford base 32, lower case)."""
        ...
