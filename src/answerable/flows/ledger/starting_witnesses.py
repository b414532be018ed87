"""Track witnesses that this process is just starting: their silence is no alarm until they have answered once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.ports.clock import Clock

STARTING_SECONDS_MAX: Final = 60.0
"""A witness should answer within this time on however slow a machine; after it, silence is reported."""


@dataclass(slots=True, kw_only=True)
class StartingWitnesses:
    """Witnesses being started, by name, with the end of the grace period on the monotonic clock."""

    clock: Clock
    _until: dict[str, float] = field(default_factory=dict, init=False)

    def begin(self, name: str) -> None:
        """Begin the grace period of a witness."""
        self._until[name] = self.clock.monotonic() + STARTING_SECONDS_MAX

    def done(self, name: str) -> None:
        """End the grace period: the witness has answered, with whatever result, or its process has ended."""
        self._until.pop(name, None)

    def excuses(self, name: str) -> bool:
        """Whether the witness's silence is no alarm now."""
        return self.clock.monotonic() < self._until.get(name, 0.0)

    def round_seconds(self, otherwise: float) -> float:
        """Return the time to the next round: shorter while a witness is being started, so that its answer is soon
        known."""
        return min(1.0, otherwise) if any(map(self.excuses, self._until)) else otherwise
