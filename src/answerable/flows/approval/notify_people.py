"""Notify people on their channels that approvals wait for them, and of the result.

Pending messages are derived from the registers each round, so a restart loses nothing: each receiver is notified at
least once while the approval is pending, and of its end within a bounded time. Each channel has its own task, pause and
claim: a channel that is down delays no other channel and no action, and of several processes one sends at a time. A try
that ended without an answer may have reached its receiver, who is then notified again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint

from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.delivery import (
    REQUESTER,
    Delivery,
    failed,
    missed,
    pause,
    put_together,
    told,
)
from answerable.core.approval.message import asked_message, digest_message, ended_message, message_in
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.approval.answer_approval import approval_page
from answerable.flows.approval.offer_click import with_buttons
from answerable.flows.approval.plan_notifications import (
    address_of,
    new_deliveries,
    notices_planned,
    receivers_of,
)
from answerable.flows.events.event_desk import in_register
from answerable.flows.validity.mandate_validity import shard_elsewhere
from answerable.flows.validity.refuse_revoked import signer_fault
from answerable.ports.message_channel import Sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.delivery import Told
    from answerable.core.approval.message import Message
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.reach_desk import NotificationState
    from answerable.flows.state.walk import Walk

ROUND_SECONDS: Final = 2.0
FORGET_SECONDS: Final = 3_600.0
AT_A_TIME: Final = 40
"""Messages sent under one claim."""
PLANNED_AT_A_TIME: Final = 1_000
"""Deliveries after which no further approval is planned in this round."""
APPROVALS_AT_A_TIME: Final = 50
"""Approvals planned before other tasks of this process run."""
CLAIM_SPARE_MS: Final = 10_000
WAIT_SECONDS_MAX: Final = 300.0
"""Longest pause that a channel may request."""
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """One message to send. of: its deliveries, all to one receiver."""

    message: Message
    what: Told
    of: tuple[Delivery, ...]


@dataclass(slots=True, kw_only=True)
class _Seen:
    """The work of one round: deliveries not stored yet, messages to send now, and deliveries that can never be made."""

    fresh: list[Delivery] = field(default_factory=list)
    due: list[_Due] = field(default_factory=list)
    missed: list[Delivery] = field(default_factory=list)


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


async def reach_always(walk: Walk, *, seconds: float = ROUND_SECONDS) -> None:
    """Send due messages on every channel, each in its own task, until cancelled."""
    desk = walk.reach
    if desk is None or not desk.channels:
        return
    async with anyio.create_task_group() as tasks:
        for channel in desk.channels:
            tasks.start_soon(_reaching, walk, desk, channel, seconds)
        while True:
            before = walk.clock.now() - desk.limits.kept_ms
            try:
                await in_register(desk.register.forget, before=before)
            except Unavailable as error:
                _log.warning("who was told is not forgotten yet: %s", error.message)
            await anyio.sleep(FORGET_SECONDS)


async def _reaching(walk: Walk, desk: NotificationState, channel: str, seconds: float) -> None:
    while True:
        news = desk.news
        try:
            while await notify_people(walk, desk, channel):
                continue
        except AnswerableError as error:
            _log.warning("channel %s: messages wait: %s", channel, error.message)
        with anyio.move_on_after(seconds):
            await news.wait()


async def notify_people(walk: Walk, desk: NotificationState, channel: str) -> int:
    """Send what is due on one channel, at most AT_A_TIME messages; return how many were sent. Raises Unavailable."""
    # 1. Notices are stored first. After a crash before this line, the ledger has the event and nobody is notified.
    await _put_notices_down(walk, desk)
    now = walk.clock.now()
    state = await in_register(desk.register.open, channel, now=now)
    # If the clock was set back, wait no longer than the longest pause.
    if now < state.next_at <= now + WAIT_SECONDS_MAX * 1000:
        return 0
    # 2. Find out without a write whether there is anything to send.
    seen = await _seen(walk, desk, channel, since=state.since)
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
        seen = await _seen(walk, desk, channel, since=state.since)
        if seen.fresh:
            await in_register(desk.register.keep, seen.fresh)
            seen = await _seen(walk, desk, channel, since=state.since)
        if seen.missed:
            await in_register(desk.register.keep, seen.missed)
            came.missed += len(seen.missed)
        # 5. Each delivery is stored as told once the channel took it. After a crash between the two, it is sent again.
        await _tell(walk, desk, channel, seen.due, came)
    finally:
        attempts = state.attempts + 1 if came.down else 0
        wait = max(pause(attempts), came.wait_ms) if came.down else 0
        with anyio.CancelScope(shield=True):
            await in_register(
                desk.register.release,
                channel,
                attempts=attempts,
                next_at=walk.clock.now() + wait if wait else 0,
                error=came.down,
                sent=came.sent,
                missed=came.missed,
            )
    if came.down:
        _log.warning("channel %s is down: %s", channel, came.down)
    return came.sent


async def _seen(walk: Walk, desk: NotificationState, channel: str, *, since: int) -> _Seen:
    """Return the work of this round. since: when the channel was set up."""
    now = walk.clock.now()
    looked = now - desk.limits.digest.window_ms - desk.limits.after_end_ms - walk.limits.approval_ttl_ms
    known = await in_register(desk.register.on, channel, since=looked)
    named = {one.about for one in known}
    approvals = {
        one.id: one
        for one in walk.approvals.all(pending_only=False, now=now)
        if one.expires_at >= looked or one.id in named
    }
    seen = _Seen()
    there = {(one.about, one.to) for one in known}
    ours = [one for one in approvals.values() if _is_ours(walk, one)]
    for begin in range(0, len(ours), APPROVALS_AT_A_TIME):
        # Let actions run between batches, however many approvals wait.
        await checkpoint()
        some = ours[begin : begin + APPROVALS_AT_A_TIME]
        seen.fresh += new_deliveries(walk, desk, channel, there=there, since=since, now=now, approvals=some)
        if len(seen.fresh) >= PLANNED_AT_A_TIME:
            break
    _sort_out(walk, desk, known, approvals, seen)
    return seen


async def _put_notices_down(walk: Walk, desk: NotificationState) -> None:
    # One channel's task at a time: a second one would reset deliveries that another has sent meanwhile to planned.
    async with desk.putting_down:
        while desk.notices:
            planned = [*notices_planned(walk, desk, desk.notices[0])]
            if planned:
                await in_register(desk.register.keep, planned)
            desk.notices.popleft()


def _sort_out(
    walk: Walk,
    desk: NotificationState,
    known: tuple[Delivery, ...],
    approvals: Mapping[ApprovalId, Approval],
    seen: _Seen,
) -> None:
    """Sort known deliveries into messages to send now and deliveries that can never be made."""
    now = walk.clock.now()
    asked: list[Delivery] = []
    others: list[_Due] = []
    for one in known:
        # If the clock was set back, wait no longer than the longest pause.
        later = now < one.next_at <= now + WAIT_SECONDS_MAX * 1000
        if one.missed or one.told in ("ended", "notice") or later:
            continue
        approval = approvals.get(ApprovalId(one.about))
        if one.body:
            if now > one.made_at + desk.limits.after_end_ms:
                seen.missed.append(missed(one))
            else:
                _take_kept(one, others, seen)
        elif approval is None:
            seen.missed.append(missed(one, why="the approval no longer exists"))
        elif not _is_ours(walk, approval):
            continue
        elif approval.state_at(now) == "pending":
            if not one.to.startswith(REQUESTER) and not one.told:
                asked.append(one)
        elif len(others) >= AT_A_TIME:
            continue
        elif (end := _of_end(walk, desk, one, approval, now=now)) is not None:
            others.append(end)
        elif not one.told and (approval.canary is None or approval.canary.ended):
            seen.missed.append(missed(one))
    # Questions that can still be answered are sent first.
    _sort_asked(walk, desk, asked, known, approvals, seen)
    seen.due += others
    del seen.due[AT_A_TIME:]


def _take_kept(one: Delivery, others: list[_Due], seen: _Seen) -> None:
    try:
        others.append(_Due(message=message_in(one.body), what="notice", of=(one,)))
    except AnswerableError as error:
        seen.missed.append(missed(one, why=error.message))


def _is_ours(walk: Walk, approval: Approval) -> bool:
    """Whether this process sends messages about the approval: the shard where it is answered does, as its link leads
    there."""
    mandate = walk.mandates.find(approval.mandate) if walk.link is not None else None
    return mandate is None or shard_elsewhere(mandate, walk.ledger.origin) is None


def _sort_asked(
    walk: Walk,
    desk: NotificationState,
    asked: list[Delivery],
    known: tuple[Delivery, ...],
    approvals: Mapping[ApprovalId, Approval],
    seen: _Seen,
) -> None:
    now = walk.clock.now()
    alone, together = put_together(asked, known, desk.limits.digest, now=now)
    for one in alone[:AT_A_TIME]:
        approval = approvals[ApprovalId(one.about)]
        try:
            message = asked_message(approval, link=approval_page(walk, approval.id), now=now)
        except AnswerableError as error:
            seen.missed.append(missed(one, why=error.message))
        else:
            seen.due.append(_Due(message=message, what="asked", of=(one,)))
    for waiting in together.values():
        message = digest_message(
            len(waiting),
            identity=f"{waiting[0].about}.digest",
            link=approval_page(walk, "").rstrip("/"),
            now=now,
        )
        seen.due.append(_Due(message=message, what="digest", of=tuple(waiting)))


def _of_end(
    walk: Walk, desk: NotificationState, one: Delivery, approval: Approval, *, now: UnixMillis
) -> _Due | None:
    """Return the message that an approval ended, for receivers who were notified that it waits and for the requester.
    None for all others, and when it is too late."""
    requester = one.to.startswith(REQUESTER)
    wanted = requester or (one.told == "asked" and desk.channels[one.channel].updates)
    if approval.canary is not None and not approval.canary.ended:
        # It is revealed in a moment; before that, the giver of the task would hear of an action that nobody requested.
        return None
    ended_at = max((answer.at for answer in approval.answers), default=approval.expires_at)
    if not wanted or now > max(ended_at, one.made_at) + desk.limits.after_end_ms:
        return None
    try:
        message = ended_message(
            approval,
            link=approval_page(walk, approval.id),
            now=now,
            name_answerers=one.channel in desk.name_answerers,
            to_requester=requester,
        )
    except AnswerableError:
        return None
    return _Due(message=message, what="ended", of=(one,))


async def _tell(walk: Walk, desk: NotificationState, channel: str, due: list[_Due], came: _Round) -> None:
    """Send a few at a time. Once the channel is down, or another process may have claimed it, the rest waits."""
    limiter = anyio.CapacityLimiter(desk.limits.at_once_max)
    last_at = came.until - int(desk.limits.try_seconds_max * 1000)

    async def tell(one: _Due) -> None:
        async with limiter:
            if came.down or came.fault is not None or walk.clock.now() > last_at:
                return
            sent = await _sent(walk, desk, channel, one)
            now = walk.clock.now()
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


async def _sent(walk: Walk, desk: NotificationState, channel: str, one: _Due) -> Sent:
    """Send to one receiver at each of their addresses: one that accepts is enough."""
    first = one.of[0]
    not_now = _not_told(walk, desk, channel, one)
    if not_now is not None:
        return not_now
    addresses = address_of(walk, desk, first)
    if not addresses:
        return Sent(state="never", why="no address there")
    results = [
        await try_to_send(
            walk, desk, channel, with_buttons(walk, one.message, first), address, handle=first.handle
        )
        for address in addresses
    ]
    order = ("taken", "later", "down", "never")
    return min(results, key=lambda sent: order.index(sent.state))


def _not_told(walk: Walk, desk: NotificationState, channel: str, one: _Due) -> Sent | None:
    """Return why a receiver must not be notified now; None where they may be. A person who is held or revoked, or may
    not answer any more, must not read pending approvals."""
    first = one.of[0]
    try:
        if first.person and signer_fault(walk, first.person, "") is not None:
            return Sent(state="later", why="they are held or revoked")
        approval = walk.approvals.find(ApprovalId(first.about)) if one.what == "asked" else None
        if approval is not None and first.to not in receivers_of(walk, approval, desk.routes_on(channel)):
            return Sent(state="never", why="they are no longer asked")
    except Unavailable as fault:
        return Sent(state="later", why=fault.message)
    return None


async def try_to_send(
    walk: Walk, desk: NotificationState, channel: str, message: Message, address: str, *, handle: str = ""
) -> Sent:
    """Try once to send, within the time limit. Never raises: an exception in the channel means that it is down."""
    sent = Sent(state="down", why=f"no answer within {desk.limits.try_seconds_max:g} seconds")
    try:
        with anyio.move_on_after(desk.limits.try_seconds_max):
            sent = await desk.channels[channel].send(message, address, handle=handle, now=walk.clock.now())
    except Exception as error:
        # A fault in one channel must stop neither the other channels nor the server.
        _log.exception("channel %s failed", channel)
        sent = Sent(state="down", why=f"it failed: {type(error).__name__}")
    return sent
