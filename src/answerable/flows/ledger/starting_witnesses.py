"""Witnesses that we are just starting ourselves: their silence is no alarm until they have answered once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.ports.clock import Clock

STARTING_SECONDS_MAX: Final = 60.0
"""After that it should have answered, on however slow a machine: from then on its silence is told."""


@dataclass(slots=True, kw_only=True)
class StartingWitnesses:
    """By name, with the end of their time on the monotonic clock."""

    clock: Clock
    _until: dict[str, float] = field(default_factory=dict, init=False)

    def begin(self, name: str) -> None:
        """It is being started from now on."""
        self._until[name] = self.clock.monotonic() + STARTING_SECONDS_MAX

    def done(self, name: str) -> None:
        """It has answered, whatever it said, or has ended."""
        self._until.pop(name, None)

    def excuses(self, name: str) -> bool:
        """Whether its silence is no alarm now."""
        return self.clock.monotonic() < self._until.get(name, 0.0)

    def round_seconds(self, otherwise: float) -> float:
        """How long until all are asked again: sooner while one is being started, so that it is soon known."""
        return min(1.0, otherwise) if any(map(self.excuses, self._until)) else otherwise
