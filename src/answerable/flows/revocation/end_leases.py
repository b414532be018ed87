"""Telling the broker what has ended, so that no credential outlives it; and writing down what the broker says.

Laws: what could not be told is owed, and told as soon as the broker answers; after a start of either, every lease that
is open is held against what is revoked, held and closed; what the broker said is on record before it hears that it is.
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
from answerable.flows.revocation.look_at_leases import all_leases
from answerable.flows.revocation.recall_leases import recall_leases
from answerable.flows.state.stop_rules import Bell
from answerable.flows.validity.mandate_validity import fallen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.containment.hold import Hold
    from answerable.core.lease.lease import Lease, Under
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.flows.state.walk import Walk
    from answerable.ports.lease_register import LeaseChange

WAIT_SECONDS: Final = 20.0
ANSWER_SECONDS_MAX: Final = 2.0
RETRY_SECONDS: Final = 0.5
UNUSED_SECONDS: Final = 5.0
"""How often it is looked whether anything registered is a target of the broker, as long as nothing is; documents that
come into force are told."""
RETRY_SECONDS_MAX: Final = 15.0
STARTING_SECONDS: Final = 5.0
"""How long a broker that does not answer may be one that has just been started, which nobody need hear of."""

_ENDING: Final = "it is being ended"
_REVOKED: Final = {str(kind): kind for kind in REVOCATION_KINDS}
_HELD: Final = {str(kind): kind for kind in HOLD_KINDS}
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo:
    """What became of leases that were to end. ended, unrevoked: as the broker said by then; more: how many were still
    being ended. unreached: why the broker could not be told; it will be, and until then they live to their own end.
    """

    ended: tuple[Lease, ...] = ()
    unrevoked: tuple[Lease, ...] = ()
    more: int = 0
    unreached: str = ""


async def end_leases(walk: Walk, names: Iterable[Under], *, why: str, wait_seconds: float = 0.0) -> LetGo:
    """End every lease under these names, and wait so long for it. Never raises: what cannot be told now is owed."""
    side = walk.leases
    wanted = [(str(kind), name) for kind, name in names]
    if side is None or not wanted or not uses_broker(walk):
        return LetGo()
    try:
        # Whoever stops something waits for nobody who hangs.
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
    """ended: names of leases within a hold's reach that ended since it was placed. live: those that are not gone.
    ending: how many of them were not yet tried to the end."""

    ended: tuple[str, ...] = ()
    live: tuple[StillLive, ...] = ()
    ending: int = 0


async def leases_within(walk: Walk, hold: Hold) -> LeasesWithin:
    """How the leases within the reach of a hold stand. Never raises: a broker that cannot be asked is told as such."""
    side = walk.leases
    if side is None or not uses_broker(walk):
        return LeasesWithin()
    now = walk.clock.now()
    try:
        # In this order: what ends between the two questions is in both answers, and not in neither.
        still = await all_leases(walk, "open")
        over = await side.asks.leases("ended", LISTED_MAX)
        # Of all that ended only the last are listed; what of it works on is listed to the last.
        left = [one for one in await all_leases(walk, "unrevoked") if not one.is_open]
    except Unavailable as failed:
        why = f"{failed.message}; leases end by themselves in time, and it is asked again"
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
        # Of some nobody knows until when.
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


def uses_broker(walk: Walk) -> bool:
    """Whether anything registered is a target of the broker, or was: leases outlive what is taken off the registry."""
    side = walk.leases
    if side is not None and not side.is_used:
        side.is_used = any(server.target for server in walk.registry.current.servers.values())
    return side is not None and side.is_used


async def follow_leases(walk: Walk) -> None:
    """For ever: tell the broker what is owed, and write down what it says. A broker that is away is asked again."""
    side = walk.leases
    if side is None:
        return
    if not uses_broker(walk):
        side.is_used = await _has_leases_of_ours(walk, side)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell, walk, side)
        tasks.start_soon(_hear, walk, side)


async def _has_leases_of_ours(walk: Walk, side: LeaseSide) -> bool:
    """Whether a broker answers that has some of an earlier process of ours, for what is registered no more."""
    try:
        return any(lease.log == walk.ledger.origin for lease in await side.asks.leases("open", LISTED_MAX))
    except Unavailable:
        return False


async def _tell(walk: Walk, side: LeaseSide) -> None:
    pause = RETRY_SECONDS
    while True:
        side.stirred = anyio.Event()
        try:
            if uses_broker(walk):
                await _told(walk, side)
            pause = RETRY_SECONDS
        except AnswerableError as failed:
            _log.warning("the broker could not be told what has ended: %s", failed.message)
            await anyio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)
            continue
        with anyio.move_on_after(WAIT_SECONDS):
            await side.stirred.wait()


async def _told(walk: Walk, side: LeaseSide) -> None:
    """First what is known to have ended, however much else is open; then, page by page, what is open."""
    await _tell_owed(side)
    if not side.owed_all:
        return
    # Set before the look: whoever owes all of it meanwhile has it looked at once more.
    side.owed_all = False
    try:
        after = ""
        while some := await side.asks.leases("open", LISTED_MAX, after=after):
            for lease in some:
                why = _why_over(walk, lease) if lease.log == walk.ledger.origin else ""
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


def _why_over(walk: Walk, lease: Lease) -> str:
    """Why a lease must not be open any more, empty where it may. Raises Unavailable."""
    now = walk.clock.now()
    # Of some kinds that a lease stands under nothing can be revoked, or held.
    revocables = [RevocationTarget(_REVOKED[kind], name) for kind, name in lease.under if kind in _REVOKED]
    if walk.revocations.find(revocables) is not None:
        return "what it stands under was revoked"
    holdables = [HoldTarget(_HELD[kind], name) for kind, name in lease.under if kind in _HELD]
    if walk.holds.find(holdables, now) is not None:
        return "what it stands under is held"
    if lease.mandate and walk.mandates.state(MandateId(lease.mandate)) != "open":
        return "its mandate ended"
    return _why_unfounded(walk, lease)


def _why_unfounded(walk: Walk, lease: Lease) -> str:
    """Why the registry of today has no room for a lease, empty where it has."""
    current = walk.registry.current
    agent = current.agents.get(AgentId(lease.agent))
    if lease.agent and (agent is None or agent.status != "active"):
        return "its agent is not active"
    if lease.capability and lease.capability not in current.capabilities:
        return "its capability is not in force"
    mandate = walk.mandates.find(MandateId(lease.mandate)) if lease.mandate else None
    # What the fault says names people, and the broker's register is not sealed.
    stands = mandate is None or fallen(walk, mandate) is None
    return "" if stands else "its mandate does not stand any more"


async def _hear(walk: Walk, side: LeaseSide) -> None:
    after: int | None = None
    pause, failing_since = RETRY_SECONDS, 0.0
    walk.registered.append(bell := Bell())
    while True:
        try:
            if not uses_broker(walk):
                await bell.heard(seconds_max=UNUSED_SECONDS)
                continue
            last, changes = await side.asks.changes(walk.ledger.origin, after, wait_seconds=WAIT_SECONDS)
            if last < (1 if after is None else after):
                # Of what it does not know any more, or never did, the ledger has the names.
                unknown = await recall_leases(walk, side)
                if after is not None or unknown:
                    _log.error(
                        "the broker's register is another than it was: %d leases it did not know are ended",
                        unknown,
                    )
                after, side.owed_all = 0, True
                side.stirred.set()
                continue
            for change in changes:
                await _record(walk, side, change)
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


async def _record(walk: Walk, side: LeaseSide, change: LeaseChange) -> None:
    """One change, durable. Raises Unavailable."""
    lease = change.lease
    if not lease.is_open or lease.state == "unrevoked":
        side.forget(lease.name)
    elif why := _why_over(walk, lease):
        # Its warrant was on its way when what it stands under was ended or held, and the broker did not know it yet.
        side.forget(lease.name)
        side.owe({("credential", lease.name): why})
    entry = lease_stands(
        lease, change=change.number, at=walk.clock.now(), sealing=sealing_for(walk, LOG_SUBJECT)
    )
    _, left = await record_entry(walk, entry)
    if left is not None:
        raise left
