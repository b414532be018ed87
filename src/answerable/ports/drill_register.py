"""Port: which drills were run, and their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from answerable.core.containment.drill import Drill, Drilled


class DrillRegister(Protocol):
    """Promises: what `put` stored is on stable storage when it returns, and every later read in any process sees it;
    stored drills are never changed or removed.

    Only human-facing commands read it, never an action. Raises only Unavailable (`register.*`).
    """

    def put(self, drills: Collection[Drill]) -> int:
        """Store the drills with unknown ids in one write, all or none; return how many there were."""
        ...

    def of(self, what: Drilled) -> Sequence[Drill]:
        """Return every drill of an agent or capability, newest first."""
        ...

    def all(self) -> Sequence[Drill]:
        """Return every drill, newest first."""
        ...
