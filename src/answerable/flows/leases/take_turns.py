"""Sessions of one lease at a time: actions wait for a free one instead of failing at the target."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from answerable.errors.codes.leases import WARRANT_LATE
from answerable.flows.leases.issuing import Turns, lease_ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from answerable.core.ledger.warrant_token import SignedWarrant
    from answerable.flows.leases.lease_desk import BrokerState, DeskTarget


@asynccontextmanager
async def turn_of(desk: BrokerState, target: DeskTarget, warrant: SignedWarrant) -> AsyncIterator[None]:
    """Hold one session of the warrant's lease, after waiting for it until the warrant's deadline at most.

    Raises Unverified (`warrant.late`) and Unavailable (`lease.ended`): nothing was done.
    """
    name = warrant.lease.name
    if not target.sessions_max or warrant.lease.window != "task":
        yield
        return
    turns = desk.turns.setdefault(name, Turns(anyio.Semaphore(target.sessions_max)))
    turns.users += 1
    try:
        await _taken(desk, turns, warrant)
        try:
            yield
        finally:
            turns.free.release()
    finally:
        turns.users -= 1
        if not turns.users:
            del desk.turns[name]


async def _taken(desk: BrokerState, turns: Turns, warrant: SignedWarrant) -> None:
    seconds = max(0.0, (warrant.deadline - desk.clock.now()) / 1000)
    with anyio.move_on_after(seconds) as late, anyio.CancelScope() as scope:
        turns.waiting.add(scope)
        try:
            await turns.free.acquire()
            return
        finally:
            turns.waiting.discard(scope)
    if late.cancelled_caught:
        raise WARRANT_LATE()
    raise lease_ended(warrant.lease.name)
