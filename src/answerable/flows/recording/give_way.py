"""Read the log in short turns beside actions, pausing after each turn for as long as the turn took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from answerable.ports.clock import Clock

ENTRIES_PER_TURN: Final = 32
"""Takes one to two milliseconds."""


@dataclass(slots=True)
class Turns:
    """Paces one read."""

    clock: Clock
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.clock.monotonic()

    async def after(self, count: int) -> None:
        """Pause if a turn is over. `count`: number of entries read so far."""
        if count % ENTRIES_PER_TURN == 0:
            await anyio.sleep(self.clock.monotonic() - self._begun)
            self._begun = self.clock.monotonic()
