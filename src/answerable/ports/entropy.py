"""Port: chance."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """Promises: unpredictable bytes from the system's generator; two calls never share state an attacker can guess.

    Never blocks after start-up, never fails.
    """

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""
        ...

    def token(self) -> str:
        """A fresh name of 128 random bits, 26 characters of `0-9 a-z` (Crockford base 32, lower case)."""
        ...
