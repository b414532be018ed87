"""Long reads of the log beside actions: short turns, and as long for others after each as it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from answerable.ports.clock import Clock

ENTRIES_PER_TURN: Final = 32
"""Between one and two milliseconds."""


@dataclass(slots=True)
class Turns:
    """The turns of one read."""

    clock: Clock
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.clock.monotonic()

    async def after(self, count: int) -> None:
        """Once so many entries were read: wait where a turn is over."""
        if count % ENTRIES_PER_TURN == 0:
            await anyio.sleep(self.clock.monotonic() - self._begun)
            self._begun = self.clock.monotonic()
