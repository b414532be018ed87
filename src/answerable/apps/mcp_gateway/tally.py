"""Count notifications and stopped messages for operators. Bounded: names that a client can invent count as one kind."""

from __future__ import annotations

from collections import Counter


class Tally:
    """Counters. notifications: by method. stopped: messages that the front refused, by the error's code."""

    __slots__ = ("notifications", "stopped")

    def __init__(self) -> None:
        self.notifications: Counter[str] = Counter()
        self.stopped: Counter[str] = Counter()

    def note(self, method: str) -> None:
        """Count a notification."""
        from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS

        is_known = method in SPEC_CLIENT_METHODS or method in SPEC_CLIENT_NOTIFICATION_METHODS
        self.notifications[method if is_known else "other"] += 1

    def stop(self, code: str) -> None:
        """Count a stopped message; codes are a closed list."""
        self.stopped[code] += 1
