"""End leases. One function serves the normal path, the retry, the start after a crash and the sweep of orphans.

Laws: a lease is ended by its name alone, so that nothing else of it need be stored; a failure is recorded with its
reason and repeated without end; no target delays another; a lease that may be live stays in the index until the
register records its end.
"""

from __future__ import annotations

import logging
from heapq import heappush
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import AnswerableError, Unavailable
from answerable.flows.leases.issuing import lease_ended
from answerable.flows.leases.lease_desk import NO_TARGET
from answerable.flows.state.target_calls import calling, place_of
from answerable.ports.credential_issuer import PORT as ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.lease.lease import Lease, Under
    from answerable.core.lease.name import LeaseName
    from answerable.flows.leases.lease_desk import BrokerState, EndQueue

JITTER_BYTES: Final = 2
UNWRITTEN_PAUSE_MS: Final = 1_000

_log: Final = logging.getLogger(__name__)


async def end_lease(desk: BrokerState, name: LeaseName, *, why: str) -> Lease | None:
    """End the lease, or try once more, and return its state afterwards; None for a name unknown to this broker.

    Waits for an attempt that is already running. Cancelling the caller does not cancel the attempt.
    """
    begin(desk, [name], why=why)
    going = desk.ending.get(name)
    if going is not None:
        await going.wait()
    return desk.open.get(name) or desk.register.get(name)


def end_within(desk: BrokerState, names: Iterable[Under], *, why: str) -> list[LeaseName]:
    """Begin to end every lease that depends on one of these names; return their names. Waits for none of them."""
    found = desk.open.within(names)
    begin(desk, found, why=why)
    return found


def begin(desk: BrokerState, names: Iterable[LeaseName], *, why: str) -> None:
    """Begin to end those of these leases that are open. Never waits."""
    assert desk.tasks is not None  # noqa: S101 - wiring runs the desk
    for name in names:
        lease = desk.open.get(name)
        if lease is None or name in desk.ending:
            continue
        desk.ending[name] = anyio.Event()
        desk.credentials.pop(name, None)
        issuing = desk.issuing.get(name)
        if issuing is not None:
            issuing.fail(lease_ended(name))
        turns = desk.turns.get(name)
        if turns is not None:
            turns.end()
        queue = desk.queues[lease.target]
        (queue.again if lease.state == "unrevoked" else queue.waiting).append((name, why))
        if queue.enders < desk.limits.enders_per_target:
            queue.enders += 1
            desk.tasks.start_soon(_end_waiting, desk, queue)


async def _end_waiting(desk: BrokerState, queue: EndQueue) -> None:
    """End the leases of this queue one after another, until there is none that this task may take."""
    retrying_max = max(1, desk.limits.enders_per_target // 2)
    try:
        while queue.waiting or (queue.again and queue.retrying < retrying_max):
            is_again = not queue.waiting
            name, why = queue.again.popleft() if is_again else queue.waiting.popleft()
            queue.retrying += is_again
            try:
                await _attempt(desk, name, why)
            finally:
                queue.retrying -= is_again
                desk.ending.pop(name).set()
    finally:
        queue.enders -= 1


async def _attempt(desk: BrokerState, name: LeaseName, why: str) -> None:
    """Try once to end a lease. Every failure is recorded and none is raised."""
    # Wait for a lease that is being issued; otherwise its account could be created after its end.
    issuing = desk.issuing.get(name)
    if issuing is not None:
        await issuing.over.wait()
    lease = desk.open.get(name)
    if lease is None:
        return
    stands = await _ended(desk, lease, why)
    try:
        # Write first: the lease leaves the index only when the register records its end, so it is never missing while
        # live.
        await desk.writer.put(stands)
    except AnswerableError as failed:
        _log.error("how a lease ended cannot be written down, it is ended again: %s", failed.message)
        schedule(desk, desk.clock.now() + UNWRITTEN_PAUSE_MS, name)
        return
    desk.open.keep(stands)
    told(desk)
    if stands.is_open:
        schedule(desk, stands.next_try_at, name)


async def _ended(desk: BrokerState, lease: Lease, why: str) -> Lease:
    """Ask the issuer once to revoke the lease, and return the lease afterwards."""
    target = desk.targets.get(lease.target)
    fault = NO_TARGET
    if target is not None:
        try:
            with (
                anyio.fail_after(desk.limits.revoke_seconds_max),
                calling(target.by, port=ISSUER, effect="unknown"),
            ):
                revoked = await target.issuer.revoke(lease.name)
            return lease.ended(desk.clock.now(), revoked, why=why)
        except Unavailable as failed:
            fault = failed.message
        except TimeoutError:
            fault = f"the target gave no answer within {desk.limits.revoke_seconds_max:g} s"
        except Exception as broken:
            # An issuer that breaks its contract counts as failed: the lease stays open.
            fault = f"its issuer failed: {place_of(broken)}"
            _log.error("target %s: %s", lease.target, fault)
    jitter = int.from_bytes(desk.entropy.bytes(JITTER_BYTES), "big") / 0xFFFF
    return lease.unrevoked(desk.clock.now(), fault, why=why, jitter=jitter)


def schedule(desk: BrokerState, at: int, name: LeaseName) -> None:
    """Check this lease again at that time, in Unix milliseconds."""
    due = (desk.clock.monotonic() + (at - desk.clock.now()) / 1000, name)
    heappush(desk.due, due)
    if desk.due_changed is not None and desk.due[0] == due:
        desk.due_changed.set()


def told(desk: BrokerState) -> None:
    """Wake the callers that wait for changes."""
    if desk.changed is not None:
        desk.changed.set()
        desk.changed = None
