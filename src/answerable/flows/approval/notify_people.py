"""Notify people on their channels that approvals wait for them, and of the result.

Pending messages are derived from the registers each round, so a restart loses nothing: each receiver is notified at
least once while the approval is pending, and of its end within a bounded time. Each channel has its own task, pause and
claim: a channel that is down delays no other channel and no action, and of several processes one sends at a time. A try
that ended without an answer may have reached its receiver, who is then notified again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint

from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.delivery import (
    failed,
    missed,
    pause,
    told,
)
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.approval.offer_click import with_buttons
from answerable.flows.approval.plan_notifications import (
    address_of,
    new_deliveries,
    notices_planned,
    receivers_of,
)
from answerable.flows.approval.sort_deliveries import (
    AT_A_TIME,
    WAIT_SECONDS_MAX,
    Due,
    Seen,
    is_ours,
    sort_out,
)
from answerable.flows.events.event_desk import in_register
from answerable.flows.validity.refuse_revoked import signer_fault
from answerable.ports.message_channel import Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.message import Message
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.flows.state.reach_desk import NotificationState
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.shard_link import ShardLink

ROUND_SECONDS: Final = 2.0
FORGET_SECONDS: Final = 3_600.0
PLANNED_AT_A_TIME: Final = 1_000
"""Deliveries after which no further approval is planned in this round."""
APPROVALS_AT_A_TIME: Final = 50
"""Approvals planned before other tasks of this process run."""
CLAIM_SPARE_MS: Final = 10_000
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Round:
    """The result of one round on one channel. until: when this process's claim ends. fault: why deliveries cannot be
    stored; then sending stops, because unrecorded receivers would be notified again and again."""

    until: int
    fault: Unavailable | None = None
    down: str = ""
    wait_ms: int = 0
    sent: int = 0
    missed: int = 0


async def reach_always(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    link: ShardLink | None,
    entropy: Entropy,
    *,
    seconds: float = ROUND_SECONDS,
) -> None:
    """Send due messages on every channel, each in its own task, until cancelled."""
    desk = asking.reach
    if desk is None or not desk.channels:
        return
    async with anyio.create_task_group() as tasks:
        for channel in desk.channels:
            tasks.start_soon(_reaching, ledger, authority, asking, link, entropy, channel, seconds)
        while True:
            before = authority.clock.now() - desk.limits.kept_ms
            try:
                await in_register(desk.register.forget, before=before)
            except Unavailable as error:
                _log.warning("who was told is not forgotten yet: %s", error.message)
            await anyio.sleep(FORGET_SECONDS)


async def _reaching(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    link: ShardLink | None,
    entropy: Entropy,
    channel: str,
    seconds: float,
) -> None:
    while (desk := asking.reach) is not None:
        news = desk.news
        try:
            while await notify_people(ledger, authority, asking, link, entropy, channel):
                continue
        except AnswerableError as error:
            _log.warning("channel %s: messages wait: %s", channel, error.message)
        with anyio.move_on_after(seconds):
            await news.wait()


async def notify_people(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    link: ShardLink | None,
    entropy: Entropy,
    channel: str,
) -> int:
    """Send what is due on one channel, at most AT_A_TIME messages; return how many were sent. Raises Unavailable."""
    if (desk := asking.reach) is None:
        return 0
    ours = partial(is_ours, ledger, authority.mandates, link)
    # 1. Notices are stored first. After a crash before this line, the ledger has the event and nobody is notified.
    await _put_notices_down(authority.registry, authority.clock, desk)
    now = authority.clock.now()
    state = await in_register(desk.register.open, channel, now=now)
    # If the clock was set back, wait no longer than the longest pause.
    if now < state.next_at <= now + WAIT_SECONDS_MAX * 1000:
        return 0
    # 2. Find out without a write whether there is anything to send.
    seen = await _seen(ours, authority, asking, desk, channel, since=state.since)
    if not (seen.fresh or seen.due or seen.missed):
        return 0
    # 3. Claim the channel for as long as the longest tries may take. After a crash here, another process claims it.
    slowest = desk.limits.try_seconds_max * (AT_A_TIME / desk.limits.at_once_max)
    until = now + int(slowest * 1000) + CLAIM_SPARE_MS
    if not await in_register(desk.register.claim, channel, now=now, until=until):
        return 0
    came = _Round(until=until)
    try:
        # 4. The plan is stored before sending, and read again: another process may have sent some of it meanwhile.
        seen = await _seen(ours, authority, asking, desk, channel, since=state.since)
        if seen.fresh:
            await in_register(desk.register.keep, seen.fresh)
            seen = await _seen(ours, authority, asking, desk, channel, since=state.since)
        if seen.missed:
            await in_register(desk.register.keep, seen.missed)
            came.missed += len(seen.missed)
        # 5. Each delivery is stored as told once the channel took it. After a crash between the two, it is sent again.
        await _tell(authority, asking, entropy, desk, channel, seen.due, came)
    finally:
        attempts = state.attempts + 1 if came.down else 0
        wait = max(pause(attempts), came.wait_ms) if came.down else 0
        with anyio.CancelScope(shield=True):
            await in_register(
                desk.register.release,
                channel,
                attempts=attempts,
                next_at=authority.clock.now() + wait if wait else 0,
                error=came.down,
                sent=came.sent,
                missed=came.missed,
            )
    if came.down:
        _log.warning("channel %s is down: %s", channel, came.down)
    return came.sent


async def _seen(
    ours: Callable[[Approval], bool],
    authority: AuthorityRegisters,
    asking: AskingState,
    desk: NotificationState,
    channel: str,
    *,
    since: int,
) -> Seen:
    """Return the work of this round. ours: whether this process sends messages about an approval. since: when the
    channel was set up."""
    now = authority.clock.now()
    looked = now - desk.limits.digest.window_ms - desk.limits.after_end_ms - asking.limits.approval_ttl_ms
    known = await in_register(desk.register.on, channel, since=looked)
    named = {one.about for one in known}
    approvals = {
        one.id: one
        for one in authority.approvals.all(pending_only=False, now=now)
        if one.expires_at >= looked or one.id in named
    }
    seen = Seen()
    there = {(one.about, one.to) for one in known}
    own = [*filter(ours, approvals.values())]
    for begin in range(0, len(own), APPROVALS_AT_A_TIME):
        # Let actions run between batches, however many approvals wait.
        await checkpoint()
        some = own[begin : begin + APPROVALS_AT_A_TIME]
        seen.fresh += new_deliveries(
            authority, asking, desk, channel, there=there, since=since, now=now, approvals=some
        )
        if len(seen.fresh) >= PLANNED_AT_A_TIME:
            break
    sort_out(ours, asking.passkeys, authority.clock, desk, known, approvals, seen)
    return seen


async def _put_notices_down(registry: RegistryStore, clock: Clock, desk: NotificationState) -> None:
    # One channel's task at a time: a second one would reset deliveries that another has sent meanwhile to planned.
    async with desk.putting_down:
        while desk.notices:
            planned = [*notices_planned(registry, clock, desk, desk.notices[0])]
            if planned:
                await in_register(desk.register.keep, planned)
            desk.notices.popleft()


async def _tell(
    authority: AuthorityRegisters,
    asking: AskingState,
    entropy: Entropy,
    desk: NotificationState,
    channel: str,
    due: list[Due],
    came: _Round,
) -> None:
    """Send a few at a time. Once the channel is down, or another process may have claimed it, the rest waits."""
    limiter = anyio.CapacityLimiter(desk.limits.at_once_max)
    last_at = came.until - int(desk.limits.try_seconds_max * 1000)

    async def tell(one: Due) -> None:
        async with limiter:
            if came.down or came.fault is not None or authority.clock.now() > last_at:
                return
            sent = await _sent(authority, asking, entropy, desk, channel, one)
            now = authority.clock.now()
            wait_ms = int(min(max(sent.wait_seconds, 0.0), WAIT_SECONDS_MAX) * 1000)
            if sent.state == "down":
                came.down, came.wait_ms = sent.why or "it does not answer", max(came.wait_ms, wait_ms)
                return
            if sent.state == "taken":
                came.sent += 1
                kept = [told(it, one.what, now=now, handle=sent.handle) for it in one.of]
            elif sent.state == "later":
                kept = [failed(it, now=now, why=sent.why, wait_ms=wait_ms) for it in one.of]
            else:
                came.missed += len(one.of)
                kept = [missed(it, why=sent.why) for it in one.of]
            try:
                await in_register(desk.register.keep, kept)
            except Unavailable as fault:
                came.fault = fault

    async with anyio.create_task_group() as tasks:
        for one in due:
            tasks.start_soon(tell, one)
    if came.fault is not None:
        raise came.fault


async def _sent(
    authority: AuthorityRegisters,
    asking: AskingState,
    entropy: Entropy,
    desk: NotificationState,
    channel: str,
    one: Due,
) -> Sent:
    """Send to one receiver at each of their addresses: one that accepts is enough."""
    first = one.of[0]
    not_now = _not_told(authority, asking, desk, channel, one)
    if not_now is not None:
        return not_now
    addresses = address_of(authority.registry, desk, first)
    if not addresses:
        return Sent(state="never", why="no address there")
    results = [
        await try_to_send(
            authority.clock,
            desk,
            channel,
            with_buttons(authority, asking, entropy, one.message, first),
            address,
            handle=first.handle,
        )
        for address in addresses
    ]
    order = ("taken", "later", "down", "never")
    return min(results, key=lambda sent: order.index(sent.state))


def _not_told(
    authority: AuthorityRegisters, asking: AskingState, desk: NotificationState, channel: str, one: Due
) -> Sent | None:
    """Return why a receiver must not be notified now; None where they may be. A person who is held or revoked, or may
    not answer any more, must not read pending approvals."""
    first = one.of[0]
    try:
        if first.person and signer_fault(authority, first.person, "") is not None:
            return Sent(state="later", why="they are held or revoked")
        approval = authority.approvals.find(ApprovalId(first.about)) if one.what == "asked" else None
        if approval is not None and first.to not in receivers_of(
            authority, asking, approval, desk.routes_on(channel)
        ):
            return Sent(state="never", why="they are no longer asked")
    except Unavailable as fault:
        return Sent(state="later", why=fault.message)
    return None


async def try_to_send(
    clock: Clock, desk: NotificationState, channel: str, message: Message, address: str, *, handle: str = ""
) -> Sent:
    """Try once to send, within the time limit. Never raises: an exception in the channel means that it is down."""
    sent = Sent(state="down", why=f"no answer within {desk.limits.try_seconds_max:g} seconds")
    try:
        with anyio.move_on_after(desk.limits.try_seconds_max):
            sent = await desk.channels[channel].send(message, address, handle=handle, now=clock.now())
    except Exception as error:
        # A fault in one channel must stop neither the other channels nor the server.
        _log.exception("channel %s failed", channel)
        sent = Sent(state="down", why=f"it failed: {type(error).__name__}")
    return sent
