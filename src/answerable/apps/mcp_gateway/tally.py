"""Count notifications and stopped messages for operators. Bounded: names that a client can invent count as one kind."""

from __future__ import annotations

from collections import Counter
from typing import Final

from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS

_KNOWN: Final = SPEC_CLIENT_METHODS | SPEC_CLIENT_NOTIFICATION_METHODS


class Tally:
    """Counters. notifications: by method. stopped: messages that the front refused, by the error's code."""

    __slots__ = ("notifications", "stopped")

    def __init__(self) -> None:
        self.notifications: Counter[str] = Counter()
        self.stopped: Counter[str] = Counter()

    def note(self, method: str) -> None:
        """Count a notification."""
        self.notifications[method if method in _KNOWN else "other"] += 1

    def stop(self, code: str) -> None:
        """Count a stopped message; codes are a closed list."""
        self.stopped[code] += 1
