"""Report ended authority to the broker, so that no credential outlives it, and record what the broker reports.

Laws: an end that could not be reported is queued and reported as soon as the broker answers. After a start of either
process, every open lease is checked against revocations, holds and closed mandates. A report of the broker is recorded
before the broker gets the acknowledgement.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.containment.hold import HOLD_KINDS, HoldTarget
from answerable.core.identity.names.principal import AgentId
from answerable.core.lease.wire import LISTED_MAX, NAMES_MAX
from answerable.core.ledger.containment import StillLive
from answerable.core.ledger.records_leases import lease_stands
from answerable.core.ledger.subject import LOG_SUBJECT
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import REVOCATION_KINDS, RevocationTarget
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.recording.record_entry import record_entry, sealing_for
from answerable.flows.recording.rounds import until_round
from answerable.flows.revocation.look_at_leases import all_leases
from answerable.flows.revocation.recall_leases import recall_leases
from answerable.flows.state.stop_rules import Bell
from answerable.flows.validity.mandate_validity import fallen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.containment.hold import Hold
    from answerable.core.lease.lease import Lease, Under
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.clock import Clock
    from answerable.ports.lease_register import LeaseChange
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore

WAIT_SECONDS: Final = 20.0
ANSWER_SECONDS_MAX: Final = 2.0
RETRY_SECONDS: Final = 0.5
UNUSED_SECONDS: Final = 5.0
"""Poll interval while nothing registered uses the broker; new documents trigger a check, too."""
RETRY_SECONDS_MAX: Final = 15.0
STARTING_SECONDS: Final = 5.0
"""How long a broker that does not answer may be starting, without a warning in the log."""

_ENDING: Final = "it is being ended"
_REVOKED: Final = {str(kind): kind for kind in REVOCATION_KINDS}
_HELD: Final = {str(kind): kind for kind in HOLD_KINDS}
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo:
    """Result of ending leases.

    `ended`, `unrevoked`: as the broker reported by then. `more`: number still being ended. `unreached`: why the broker
    could not be told; it will be, and until then leases last until their own end.
    """

    ended: tuple[Lease, ...] = ()
    unrevoked: tuple[Lease, ...] = ()
    more: int = 0
    unreached: str = ""


async def end_leases(
    registry: RegistryStore,
    leases: LeaseSide | None,
    names: Iterable[Under],
    *,
    why: str,
    wait_seconds: float = 0.0,
) -> LetGo:
    """End every lease under these names, waiting up to `wait_seconds`. Never raises: what fails now is queued."""
    side = leases
    wanted = [(str(kind), name) for kind, name in names]
    if side is None or not wanted or not uses_broker(registry, leases):
        return LetGo()
    try:
        # A stop must not wait for a broker that hangs.
        with anyio.fail_after(wait_seconds + ANSWER_SECONDS_MAX):
            done = await side.asks.end(wanted, why=why, wait_seconds=wait_seconds)
    except (Unavailable, TimeoutError) as failed:
        said = failed.message if isinstance(failed, Unavailable) else "the broker did not answer in time"
        side.owe(dict.fromkeys(wanted, why))
        _log.warning("leases could not be ended yet: %s", said)
        return LetGo(unreached=said)
    return LetGo(ended=done.ended, unrevoked=done.unrevoked, more=done.more)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasesWithin:
    """Leases within a hold's reach.

    `ended`: names of leases ended since the hold was placed. `live`: those that may still be live. `ending`: number of
    those still being ended.
    """

    ended: tuple[str, ...] = ()
    live: tuple[StillLive, ...] = ()
    ending: int = 0


async def leases_within(
    registry: RegistryStore, leases: LeaseSide | None, clock: Clock, hold: Hold
) -> LeasesWithin:
    """Return the state of the leases within reach of a hold. Never raises: an unreachable broker is listed as such."""
    side = leases
    if side is None or not uses_broker(registry, leases):
        return LeasesWithin()
    now = clock.now()
    try:
        # In this order, a lease that ends between the two queries is in both answers, not in neither.
        still = await all_leases(leases, "open")
        over = await side.asks.leases("ended", LISTED_MAX)
        # Only the last ended leases are listed, but every lease with a remaining effect is.
        left = [one for one in await all_leases(leases, "unrevoked") if not one.is_open]
    except Unavailable as failed:
        why = f"{failed.message}; the broker is asked again, and leases also expire by themselves"
        longest = now + max(side.lives.task_ms, side.lives.action_ms)
        return LeasesWithin(live=(StillLive(kind="lease", name=side.broker, until=longest, why=why),))
    found = {one.name: one for some in (left, still, over) for one in some}
    mine = [one for one in found.values() if tuple(hold.what) in one.under]
    ended = tuple(one.name for one in mine if one.ended_at >= hold.at)
    live = [
        StillLive(kind="lease", name=one.name, until=one.live_until, why="; ".join(one.left))
        for one in mine
        if one.left
        and not one.is_open
        # For some leases it is not known until when they are live.
        and (one.live_until > now or (not one.live_until and one.ended_at >= hold.at))
    ]
    live += [
        StillLive(
            kind="lease", name=one.name, until=one.expires_at, why=f"at {one.target}: {one.fault or _ENDING}"
        )
        for one in mine
        if one.is_open
    ]
    ending = sum(one.is_open and one.state != "unrevoked" for one in mine)
    return LeasesWithin(ended=ended[:LISTED_MAX], live=tuple(live), ending=ending)


def uses_broker(registry: RegistryStore, leases: LeaseSide | None) -> bool:
    """Whether anything registered is or was a target of the broker. Leases outlive removal from the registry."""
    side = leases
    if side is not None and not side.is_used:
        side.is_used = any(server.target for server in registry.current.servers.values())
    return side is not None and side.is_used


async def follow_leases(
    recorder: Recorder, authority: AuthorityRegisters, leases: LeaseSide | None, policies: PolicyState
) -> None:
    """Tell the broker what is queued and record what it reports. Runs without end; retries a broker that is away."""
    side = leases
    if side is None:
        return
    if not uses_broker(authority.registry, leases):
        side.is_used = await _has_leases_of_ours(recorder.ledger, side)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell, recorder.ledger, authority, leases, side)
        tasks.start_soon(_hear, recorder, authority, policies, side)


async def _has_leases_of_ours(ledger: Ledger, side: LeaseSide) -> bool:
    """Whether the broker answers and has leases of an earlier process of this log, for targets no longer registered."""
    try:
        return any(lease.log == ledger.origin for lease in await side.asks.leases("open", LISTED_MAX))
    except Unavailable:
        return False


async def _tell(
    ledger: Ledger, authority: AuthorityRegisters, leases: LeaseSide | None, side: LeaseSide
) -> None:
    pause = RETRY_SECONDS
    while True:
        side.stirred = anyio.Event()
        try:
            if uses_broker(authority.registry, leases):
                await _told(ledger, authority, side)
            pause = RETRY_SECONDS
        except AnswerableError as failed:
            _log.warning("the broker could not be told what has ended: %s", failed.message)
            await anyio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)
            continue
        with anyio.move_on_after(WAIT_SECONDS):
            await side.stirred.wait()


async def _told(ledger: Ledger, authority: AuthorityRegisters, side: LeaseSide) -> None:
    """Tell the known ends first, then check the open leases page by page."""
    await _tell_owed(side)
    if not side.owed_all:
        return
    # Clear the flag before reading: a concurrent `owe_all` then causes another check.
    side.owed_all = False
    try:
        after = ""
        while some := await side.asks.leases("open", LISTED_MAX, after=after):
            for lease in some:
                why = _why_over(authority, lease) if lease.log == ledger.origin else ""
                if why:
                    side.owed["credential", lease.name] = why
            await _tell_owed(side)
            after = some[-1].name
    except BaseException:
        side.owed_all = True
        raise


async def _tell_owed(side: LeaseSide) -> None:
    while side.owed:
        names = list(side.owed.items())[:NAMES_MAX]
        await side.asks.end([name for name, _ in names], why=names[0][1], wait_seconds=0.0)
        for name, why in names:
            if side.owed.get(name) == why:
                del side.owed[name]


def _why_over(authority: AuthorityRegisters, lease: Lease) -> str:
    """Return why a lease must not be open any more; empty if it may. Raises Unavailable."""
    now = authority.clock.now()
    # Some kinds of names that a lease acts under cannot be revoked, or cannot be held.
    revocables = [RevocationTarget(_REVOKED[kind], name) for kind, name in lease.under if kind in _REVOKED]
    if authority.revocations.find(revocables) is not None:
        return "what it stands under was revoked"
    holdables = [HoldTarget(_HELD[kind], name) for kind, name in lease.under if kind in _HELD]
    if authority.holds.find(holdables, now) is not None:
        return "what it stands under is held"
    if lease.mandate and authority.mandates.state(MandateId(lease.mandate)) != "open":
        return "its mandate ended"
    return _why_unfounded(authority, lease)


def _why_unfounded(authority: AuthorityRegisters, lease: Lease) -> str:
    """Return why the current registry no longer supports a lease; empty if it does."""
    current = authority.registry.current
    agent = current.agents.get(AgentId(lease.agent))
    if lease.agent and (agent is None or agent.status != "active"):
        return "its agent is not active"
    if lease.capability and lease.capability not in current.capabilities:
        return "its capability is not in force"
    mandate = authority.mandates.find(MandateId(lease.mandate)) if lease.mandate else None
    # The fault's message names people, and the broker's register is not sealed.
    stands = mandate is None or fallen(authority, mandate) is None
    return "" if stands else "its mandate does not stand any more"


async def _hear(
    recorder: Recorder, authority: AuthorityRegisters, policies: PolicyState, side: LeaseSide
) -> None:
    after: int | None = None
    pause, failing_since = RETRY_SECONDS, 0.0
    policies.registered.append(bell := Bell())
    while True:
        try:
            if not uses_broker(authority.registry, side):
                await bell.heard(seconds_max=until_round(UNUSED_SECONDS))
                continue
            last, changes = await side.asks.changes(recorder.ledger.origin, after, wait_seconds=WAIT_SECONDS)
            if last < (1 if after is None else after):
                # The broker has lost its register. The ledger has the names of leases that the broker no longer knows.
                unknown = await recall_leases(recorder.ledger, authority.registry, recorder.clock, side)
                if after is not None or unknown:
                    _log.error(
                        "the broker's register is another than it was: %d leases it did not know are ended",
                        unknown,
                    )
                after, side.owed_all = 0, True
                side.stirred.set()
                continue
            for change in changes:
                await _record(recorder, authority, side, change)
                after = change.number
            after = after if after is not None else last
            pause, failing_since = RETRY_SECONDS, 0.0
        except AnswerableError as failed:
            failing_since = failing_since or anyio.current_time()
            is_news = anyio.current_time() - failing_since >= STARTING_SECONDS
            level = logging.WARNING if is_news else logging.DEBUG
            _log.log(level, "what became of leases cannot be written down right now: %s", failed.message)
            side.owed_all = True
            await anyio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)


async def _record(
    recorder: Recorder, authority: AuthorityRegisters, side: LeaseSide, change: LeaseChange
) -> None:
    """Record one change durably. Raises Unavailable."""
    lease = change.lease
    if not lease.is_open or lease.state == "unrevoked":
        side.forget(lease.name)
    elif why := _why_over(authority, lease):
        # The warrant was in flight when the authority was ended or held, before the broker knew of the lease.
        side.forget(lease.name)
        side.owe({("credential", lease.name): why})
    entry = lease_stands(
        lease, change=change.number, at=recorder.clock.now(), sealing=sealing_for(recorder, LOG_SUBJECT)
    )
    _, left = await record_entry(recorder, entry)
    if left is not None:
        raise left
