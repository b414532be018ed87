"""End leases that no caller ends: at expiry, on retry, at the broker's start, and accounts that targets still have."""

from __future__ import annotations

import logging
from heapq import heappop
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio
from anyio import to_thread

from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.leases.revoke_lease import begin, schedule
from answerable.flows.recording.rounds import until_round
from answerable.flows.state.target_calls import calling
from answerable.ports.credential_issuer import PORT as ISSUER

if TYPE_CHECKING:
    from answerable.core.lease.lease import Lease
    from answerable.core.lease.name import LeaseName
    from answerable.flows.leases.lease_desk import BrokerState

FORGET_SECONDS: Final = 600.0
FORGOTTEN_AT_ONCE: Final = 5_000
WAIT_SECONDS_MAX: Final = 3_600.0
CLOCK_SECONDS: Final = 10.0
"""How soon a clock that was set ahead is noticed."""
CLOCK_STEP_MS: Final = 1_000
"""Less than this a clock is moved all the time."""
STARTED_ANEW: Final = "the broker was started anew"
TIME_IS_UP: Final = "its time ran out"

_log: Final = logging.getLogger(__name__)


class Stray(NamedTuple):
    """An account of this product that a target has and that nothing explains: no open lease, nor one whose end told
    that it works for some time still. is_known: whether it was a lease once; then it is removed. One that never was may
    belong to another deployment at the same target, and is only reported."""

    target: str
    name: LeaseName
    is_known: bool


def reopen(desk: BrokerState) -> int:
    """Load the open leases of an earlier process and begin to end them: their credentials were lost with that process.
    Return how many."""
    names = []
    for lease in desk.register.open_leases():
        desk.open.keep(lease)
        names.append(lease.name)
    begin(desk, names, why=STARTED_ANEW)
    return len(names)


async def keep_settling(desk: BrokerState) -> None:
    """End due leases until cancelled."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_keep_forgetting, desk)
        tasks.start_soon(_follow_clock, desk)
        while True:
            now = desk.clock.monotonic()
            while desk.due and desk.due[0][0] <= now:
                _end_if_due(desk, heappop(desk.due)[1])
            wait = min(WAIT_SECONDS_MAX, desk.due[0][0] - now) if desk.due else WAIT_SECONDS_MAX
            desk.due_changed = anyio.Event()
            with anyio.move_on_after(wait):
                await desk.due_changed.wait()


def _end_if_due(desk: BrokerState, name: LeaseName) -> None:
    lease = desk.open.get(name)
    if lease is None:
        return
    now = desk.clock.now()
    if lease.state == "unrevoked":
        begin(desk, [name], why=lease.why)
    elif now >= lease.expires_at or not lease.renewed_at:
        # A clock that was set back meanwhile does not extend the lease.
        begin(desk, [name], why=TIME_IS_UP)
    else:
        schedule(desk, lease.expires_at, name)


async def _follow_clock(desk: BrokerState) -> None:
    """End the leases whose time ran out at once, because the clock was set ahead or the machine slept."""
    before = _clock_ahead(desk)
    while True:
        await anyio.sleep(until_round(CLOCK_SECONDS))
        ahead = _clock_ahead(desk)
        if ahead - before > CLOCK_STEP_MS:
            now = desk.clock.now()
            over = [one.name for one in desk.open.all() if one.state != "unrevoked" and now >= one.expires_at]
            begin(desk, over, why=TIME_IS_UP)
        before = ahead


def _clock_ahead(desk: BrokerState) -> float:
    """Return by how many milliseconds the clock is ahead of one that only counts."""
    return desk.clock.now() - desk.clock.monotonic() * 1000


async def find_strays(desk: BrokerState) -> tuple[list[Stray], dict[str, str]]:
    """Return the accounts at targets that nothing explains, and by target why some could not be queried.

    Accounts that were leases of this broker are removed at once.
    """
    strays: list[Stray] = []
    faults: dict[str, str] = {}

    async def ask(target: str) -> None:
        asked = desk.targets[target]
        try:
            with calling(asked.by, port=ISSUER, effect="none"):
                live = await asked.issuer.live()
        except AnswerableError as failed:
            faults[target] = failed.message
            return
        for name in live:
            if name not in desk.open:
                known = await to_thread.run_sync(desk.register.get, name)
                if known is not None and known.live_until > desk.clock.now():
                    continue
                strays.append(Stray(target, name, known is not None))
                if known is not None:
                    await _take_away(desk, known, faults)

    async with anyio.create_task_group() as tasks:
        for target in desk.targets:
            tasks.start_soon(ask, target)
    return strays, faults


async def _take_away(desk: BrokerState, lease: Lease, faults: dict[str, str]) -> None:
    """Revoke a lease that the register records as ended and the target still has, which is a fault."""
    _log.error("target %s still knows lease %s, which ended", lease.target, lease.name)
    target = desk.targets[lease.target]
    try:
        with calling(target.by, port=ISSUER, effect="unknown"):
            await target.issuer.revoke(lease.name)
    except AnswerableError as failed:
        faults[lease.target] = failed.message


async def _keep_forgetting(desk: BrokerState) -> None:
    while True:
        before = UnixMillis(desk.clock.now() - desk.limits.kept_ms)
        try:
            while True:
                with anyio.CancelScope(shield=True):
                    gone = await to_thread.run_sync(_forget, desk, before)
                if gone < FORGOTTEN_AT_ONCE:
                    break
        except Unavailable as failed:
            _log.warning("old leases cannot be forgotten: %s", failed.message)
        await anyio.sleep(FORGET_SECONDS)


def _forget(desk: BrokerState, before: UnixMillis) -> int:
    return desk.register.forget(ended_before=before, limit=FORGOTTEN_AT_ONCE)
