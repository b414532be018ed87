"""Having witnesses see an intent before it is performed: a checkpoint over it, cosigned by a quorum, then the act.

It costs a round to the witnesses. Those who come together are covered by one checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.flows.ledger.gather_cosignatures import Cosigning

RETRY_SECONDS: Final = 0.2
"""Between two rounds for the same entry: a witness that is down stays so for longer than a moment."""


class LedgerIntentWitness:
    """Implements flows.walk.IntentWitness. seal: has the log publish a checkpoint over what is durable."""

    def __init__(self, cosigning: Cosigning, seal: Callable[[], Awaitable[None]]) -> None:
        self._cosigning = cosigning
        self._seal = seal
        self._turn = anyio.Lock()

    async def covers(self, index: int, *, seconds_max: float) -> bool:
        """As the protocol says. Raises Unavailable and Broken as the ledger and `Cosigning.gather` do."""
        with anyio.move_on_after(seconds_max):
            while self._cosigning.covered <= index:
                async with self._turn:
                    # Whoever waited for the turn may be covered by the round of the one before.
                    if self._cosigning.covered <= index:
                        await self._seal()
                        await self._cosigning.gather()
                if self._cosigning.covered <= index:
                    await anyio.sleep(RETRY_SECONDS)
        return self._cosigning.covered > index


def intent_witness(cosigning: Cosigning, seal: Callable[[], Awaitable[None]]) -> LedgerIntentWitness | None:
    """None where there is no quorum of witnesses to ask."""
    return LedgerIntentWitness(cosigning, seal) if cosigning.is_set_up else None
