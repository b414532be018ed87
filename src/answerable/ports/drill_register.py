"""Port: which drills were run, and what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from answerable.core.containment.drill import Drill, Drilled


class DrillRegister(Protocol):
    """Promises: what `put` took is on stable storage when it returns, and every later read sees it, in whatever
    process; nothing that was put is ever changed or removed.

    It is read by people's commands only, never by an action. Raises only Unavailable (`register.*`).
    """

    def put(self, drills: Collection[Drill]) -> int:
        """Keep those whose id is not known, with one write: all or none; returns how many there were."""
        ...

    def of(self, what: Drilled) -> Sequence[Drill]:
        """Every drill of an agent or capability, newest first."""
        ...

    def all(self) -> Sequence[Drill]:
        """Every drill, newest first."""
        ...
