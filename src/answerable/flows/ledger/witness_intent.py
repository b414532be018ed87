"""Have a quorum of witnesses cosign a checkpoint over an intent before the action is performed.

This costs one round to the witnesses. One checkpoint covers concurrent intents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.flows.ledger.gather_cosignatures import Cosigning

RETRY_SECONDS: Final = 0.2
"""Pause between two rounds for the same entry: a witness that is down stays down for longer than a moment."""


class LedgerIntentWitness:
    """Implements flows.state.parts.IntentWitness. seal: has the log publish a checkpoint over its durable entries."""

    def __init__(self, cosigning: Cosigning, seal: Callable[[], Awaitable[None]]) -> None:
        self._cosigning = cosigning
        self._seal = seal
        self._turn = anyio.Lock()

    async def covers(self, index: int, *, seconds_max: float) -> bool:
        """Whether a cosigned checkpoint covers the entry in time. Raises Unavailable and Broken as the ledger and
        `Cosigning.gather` do."""
        with anyio.move_on_after(seconds_max):
            while self._cosigning.covered <= index:
                async with self._turn:
                    # The round of the previous caller may cover this entry, too.
                    if self._cosigning.covered <= index:
                        await self._seal()
                        await self._cosigning.gather()
                if self._cosigning.covered <= index:
                    await anyio.sleep(RETRY_SECONDS)
        return self._cosigning.covered > index


def intent_witness(cosigning: Cosigning, seal: Callable[[], Awaitable[None]]) -> LedgerIntentWitness | None:
    """Return the witness of intents; None where the witnesses are too few for a quorum."""
    return LedgerIntentWitness(cosigning, seal) if cosigning.is_set_up else None
