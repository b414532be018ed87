"""Revocations that live as long as the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.ports.revocation_register import UNRECORDED_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.core.mandate.revocation import Revocable, Revocation


class MemoryRevocationRegister:
    """Implements ports.revocation_register.RevocationRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[Revocable, Revocation] = {}
        self._unrecorded: dict[Revocable, Revocation] = {}
        self._epoch = 0

    def epoch(self) -> int:
        """As the port says."""
        return self._epoch

    def tell(self) -> None:
        """Another epoch, for what the register of holds beside this one was told."""
        with self._lock:
            self._epoch += 1

    def find(self, names: Collection[Revocable]) -> Revocation | None:
        """As the port says."""
        known = self._by_name
        if not known:
            return None
        return next((known[one] for one in names if one in known), None)

    def add(self, revocation: Revocation) -> bool:
        """As the port says."""
        return self.add_all((revocation,)) == 1

    def add_all(self, revocations: Collection[Revocation]) -> int:
        """As the port says."""
        with self._lock:
            fresh: dict[Revocable, Revocation] = {}
            for one in revocations:
                if one.what not in self._by_name:
                    fresh.setdefault(one.what, one)
            if fresh:
                # Swapped whole, and before the number: who sees the number sees what it is about.
                self._by_name = {**self._by_name, **fresh}
                self._unrecorded.update(fresh)
                self._epoch += 1
        return len(fresh)

    def all(self) -> Iterable[Revocation]:
        """As the port says."""
        return tuple(reversed(self._by_name.values()))

    def unrecorded(self) -> Sequence[Revocation]:
        """As the port says."""
        with self._lock:
            return tuple(self._unrecorded.values())[:UNRECORDED_MAX]

    def recorded(self, names: Iterable[Revocable]) -> None:
        """As the port says."""
        with self._lock:
            for one in names:
                self._unrecorded.pop(one, None)
