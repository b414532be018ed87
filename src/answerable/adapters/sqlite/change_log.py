"""Which changes this process has seen, numbered, with what they hit."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from answerable.ports.worlds import ANYTHING, SCOPES_KEPT_MAX

if TYPE_CHECKING:
    from answerable.ports.worlds import ChangeScope


class ChangeLog:
    """number: another one after every `add`. Safe for several threads."""

    def __init__(self) -> None:
        self.number = 0
        self._turn = threading.Lock()
        self._scopes: deque[frozenset[ChangeScope]] = deque(maxlen=SCOPES_KEPT_MAX)

    def add(self, scopes: frozenset[ChangeScope]) -> None:
        """One more change."""
        with self._turn:
            # What it hit first: whoever sees the number finds that.
            self._scopes.append(scopes)
            self.number += 1

    def since(self, number: int) -> frozenset[ChangeScope] | None:
        """What the changes after this number hit; None for anything, also where that is not known."""
        with self._turn:
            count = self.number - number
            if not 0 <= count <= len(self._scopes):
                return None
            hit: frozenset[ChangeScope] = frozenset().union(*list(self._scopes)[len(self._scopes) - count :])
        return None if ANYTHING in hit else hit
