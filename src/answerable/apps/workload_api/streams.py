"""Stream answers: the full set at once, again when it changes or ages, and an end when nothing is left to send."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from answerable.apps.workload_api.call import denied
from answerable.apps.workload_api.sets import Sight, with_unique_hints

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.apps.workload_api.call import Call
    from answerable.apps.workload_api.peer import PeerProcess
    from answerable.apps.workload_api.services import Identity, WorkloadServices
    from answerable.core.identity.names.principal import UnixMillis


async def identities_of(
    needs: WorkloadServices, process: PeerProcess, speaks: Callable[[], Awaitable[None]]
) -> tuple[Identity, ...]:
    """Identify a process that has just answered a PING. Raises GRPCError (PERMISSION_DENIED) for a process without
    identity, and for one that has ended or runs another program than when it connected."""
    if not process.is_alive():
        raise denied()
    await speaks()
    found = await needs.identify(process)
    # Identifying may have taken a while, and its answer may be about another process that has reused the pid.
    if not found or not process.is_alive():
        raise denied()
    return with_unique_hints(found)


async def keep_sending(
    call: Call,
    needs: WorkloadServices,
    *,
    look: Callable[[], Awaitable[Sight]],
    fill: Callable[[Any, Sight], Awaitable[UnixMillis | None]],
    answer: Callable[[], Any],
    recheck_seconds: float,
    hear: Callable[[Callable[[], None]], Callable[[], None]] | None = None,
) -> None:
    """Send until `look` raises, or the client has left.

    look: returns the present contents; called at once, after every change and every `recheck_seconds`. fill: writes
    them into a message, and returns when to send them again. hear: another source of changes, as
    `WorkloadServices.watch`.
    """
    changed = asyncio.Event()
    ends = [needs.watch(changed.set)]
    if hear is not None:
        ends.append(hear(changed.set))
    try:
        sent: Sight | None = None
        renew_at: UnixMillis | None = None
        while True:
            changed.clear()
            seen = await look()
            if seen != sent or (renew_at is not None and needs.now() >= renew_at):
                message = answer()
                renew_at = await fill(message, seen)
                await call.send(message)
                # Drop the reference: the keys in the message now belong to the client.
                del message
                sent = seen
            wait = recheck_seconds
            if renew_at is not None:
                wait = min(wait, max(0.0, (renew_at - needs.now()) / 1000))
            try:
                async with asyncio.timeout(wait):
                    await changed.wait()
            except TimeoutError:
                continue
    finally:
        for end in ends:
            end()
