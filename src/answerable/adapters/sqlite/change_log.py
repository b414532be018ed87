"""Number the changes that this process has seen, and remember their scopes."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from answerable.ports.worlds import ANYTHING, SCOPES_KEPT_MAX

if TYPE_CHECKING:
    from answerable.ports.worlds import ChangeScope


class ChangeLog:
    """The changes. number: increases with every `add`. Thread-safe."""

    def __init__(self) -> None:
        self.number = 0
        self._turn = threading.Lock()
        self._scopes: deque[frozenset[ChangeScope]] = deque(maxlen=SCOPES_KEPT_MAX)

    def add(self, scopes: frozenset[ChangeScope]) -> None:
        """Add a change."""
        with self._turn:
            # Store the scopes first, so that a reader of the new number finds them.
            self._scopes.append(scopes)
            self.number += 1

    def since(self, number: int) -> frozenset[ChangeScope] | None:
        """Return the scopes of the changes after this number; None if they may affect anything, or are not known any
        more."""
        with self._turn:
            count = self.number - number
            if not 0 <= count <= len(self._scopes):
                return None
            hit: frozenset[ChangeScope] = frozenset().union(*islice(reversed(self._scopes), count))
        return None if ANYTHING in hit else hit
