"""How often this door has seen what, for operators. Bounded: whatever a stranger can make up counts as one kind."""

from __future__ import annotations

from collections import Counter
from typing import Final

from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS

_KNOWN: Final = SPEC_CLIENT_METHODS | SPEC_CLIENT_NOTIFICATION_METHODS


class Tally:
    """notifications: by method. stopped: messages that did not pass the front, by the error's code."""

    __slots__ = ("notifications", "stopped")

    def __init__(self) -> None:
        self.notifications: Counter[str] = Counter()
        self.stopped: Counter[str] = Counter()

    def note(self, method: str) -> None:
        """A notification came in."""
        self.notifications[method if method in _KNOWN else "other"] += 1

    def stop(self, code: str) -> None:
        """A message was stopped; codes are a closed list of ours."""
        self.stopped[code] += 1
