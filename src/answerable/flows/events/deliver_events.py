"""Deliver queued events: push them as Security Event Tokens (RFC 8935), or send them to webhooks as signed CloudEvents.

Delivery is at least once and in order. A failed delivery is repeated without end, with a pause that doubles up to a
limit. Of several processes one sends at a time; if it dies, another takes over when its claim expires. An event that a
receiver keeps refusing is set aside after a few tries, counted and reported; later events are still delivered.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import anyio

from answerable.core.canonical import Limits, parse
from answerable.core.incident.cloud_event import left_out_event, signed_headers
from answerable.core.incident.security_event import SET_MEDIA_TYPE, STREAM_UPDATED, stream_event
from answerable.errors import AnswerableError, Malformed, Unavailable, shown
from answerable.errors.codes.events import EVENT_STREAM_KEPT
from answerable.flows.events.event_desk import changed, in_register

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.incident.event_stream import EventStream
    from answerable.flows.events.event_desk import EventState
    from answerable.ports.event_post import Posted
    from answerable.ports.event_register import Waiting

Sent = Literal["taken", "refused", "failed"]

AT_A_TIME: Final = 20
"""Events sent under one claim, as long as together they take no longer than the slowest answer allowed."""
CLAIM_ANSWERS: Final = 3
"""How many of the slowest answers a claim covers: one about the stream, one that ends late, and a reserve."""
REFUSALS_MAX: Final = 5
"""Tries of an event that its receiver refuses (400): the receiver's keys or clock may be corrected soon."""
FIRST_RETRY_MILLIS: Final = 1_000
ROUND_SECONDS: Final = 1.0
ERROR_CHARS_MAX: Final = 80
_log: Final = logging.getLogger(__name__)


async def deliver_always(desk: EventState, *, seconds: float = ROUND_SECONDS) -> None:
    """Deliver to every stream that has queued events, each in its own task, until cancelled."""
    under_way: set[str] = set()
    async with anyio.create_task_group() as tasks:
        while True:
            news = desk.news
            try:
                streams = await in_register(desk.register.streams)
            except Unavailable as error:
                _log.warning("events wait: %s", error.message)
                streams = ()
            for stream in streams:
                if stream.method != "poll" and stream.id not in under_way:
                    under_way.add(stream.id)
                    tasks.start_soon(_delivering, desk, stream.id, under_way)
            with anyio.move_on_after(seconds):
                await news.wait()


async def _delivering(desk: EventState, stream: str, under_way: set[str]) -> None:
    try:
        while await deliver_events(desk, stream):
            continue
    except AnswerableError as error:
        _log.warning("events of a stream wait: %s", error.message)
    finally:
        under_way.discard(stream)


async def deliver_events(desk: EventState, identity: str) -> int:
    """Send what is due in one stream, at most AT_A_TIME events; return how many were accepted. Raises Unavailable,
    Broken."""
    stream = await in_register(desk.register.find, identity)
    if stream is None or not desk.may_hear(stream):
        return 0
    now = desk.recorder.clock.now()
    queue = await in_register(desk.register.queue, identity)
    open_now = stream.status == "enabled" and queue.waiting > 0
    # If the clock was set back, wait no longer than the longest pause.
    waits = now < queue.next_at <= now + desk.limits.retry_seconds_max * 1000
    if waits or not (open_now or stream.update):
        return 0
    # 1. Claim the stream for as long as the longest tries may take. After a crash here, another process claims it
    # later.
    claim = now + int(CLAIM_ANSWERS * desk.limits.answer_seconds_max * 1000)
    if not await in_register(desk.register.claim, identity, now=now, until=claim):
        return 0
    attempts, taken = queue.attempts, 0
    ends = desk.recorder.clock.monotonic() + desk.limits.answer_seconds_max
    try:
        # 2. An update about the stream itself is sent before the stream stops.
        if stream.update and await _send_update(desk, stream) != "taken":
            attempts += 1
            return 0
        if stream.status != "enabled":
            attempts = 0
            return 0
        for one in await in_register(desk.register.waiting, identity, count_max=AT_A_TIME):
            if taken and desk.recorder.clock.monotonic() >= ends:
                break
            sent = await _send(desk, stream, one)
            if sent != "taken":
                attempts += 1
                break
            # 3. The receiver accepted it. After a crash before this line, it is sent once more.
            await in_register(desk.register.taken, identity, [one.id], only_shown=False)
            attempts, taken = 0, taken + 1
    except AnswerableError:
        attempts += 1
        raise
    finally:
        pause = _pause(attempts, desk.limits.retry_seconds_max) if attempts else 0
        with anyio.CancelScope(shield=True):
            await in_register(
                desk.register.release, identity, attempts=attempts, next_at=desk.recorder.clock.now() + pause
            )
    return taken


async def _send(desk: EventState, stream: EventStream, one: Waiting) -> Sent:
    """Send one event. An event refused often enough is set aside, which counts as taken."""
    if stream.method == "webhook":
        return await _to_webhook(desk, stream, one.body, one.id)
    content = parse(one.body)
    if not isinstance(content, dict):
        raise EVENT_STREAM_KEPT("a waiting event is not a JSON object")
    token = desk.signed(stream, content, identity=one.id, at=one.at)
    answer, sent = await _push(desk, stream, token)
    if sent != "refused":
        return sent
    last, times = desk.refusals.get(stream.id, ("", 0))
    before = times if last == one.id else 0
    desk.refusals[stream.id] = one.id, before + 1
    if before + 1 < REFUSALS_MAX:
        return sent
    del desk.refusals[stream.id]
    await set_aside(desk, stream.id, {one.id: _error_in(answer)})
    return "taken"


async def set_aside(desk: EventState, stream: str, refused: dict[str, str]) -> None:
    """Count events that their receiver refuses, and report them in the stream's status. refused: error by event id."""
    reason = (
        f"refused {len(refused)}, the last one for {shown(next(reversed(refused.values())), ERROR_CHARS_MAX)}"
    )
    kept = await changed(
        desk, stream, lambda now: replace(now, refused=now.refused + len(refused), reason=reason)
    )
    if kept is not None:
        _log.error("%s %s; the ledger has them: %s", kept.receiver, reason, ", ".join([*refused][:10]))


async def _send_update(desk: EventState, stream: EventStream) -> Sent:
    """Send the receiver a change of the stream made by this server: its status, or for a webhook the number of events
    left out."""
    now = desk.recorder.clock.now()
    if stream.method == "webhook":
        queue = await in_register(desk.register.queue, stream.id)
        body = left_out_event(
            queue.left_out, name=stream.receiver, source=desk.issuer(), identity=stream.update, at=now
        )
        sent = await _to_webhook(desk, stream, body, stream.update)
        told = queue.left_out
    else:
        token = desk.signed(stream, update_of(stream), identity=stream.update, at=now)
        _, sent = await _push(desk, stream, token)
        sent, told = "taken" if sent == "refused" else sent, stream.left_out
    if sent == "taken":
        await changed(desk, stream.id, partial(_updated, update=stream.update, left_out=told))
    return sent


def update_of(stream: EventStream) -> dict[str, JSONValue]:
    """Return the event about the stream's status (SSF 1.0, section 8.1.5)."""
    claims: dict[str, JSONValue] = {"status": stream.status}
    return stream_event(
        STREAM_UPDATED, stream.id, claims | ({"reason": stream.reason} if stream.reason else {})
    )


def _updated(stream: EventStream, *, update: str, left_out: int) -> EventStream | None:
    if stream.update != update:
        return None
    return replace(stream, update="", left_out=max(left_out, stream.left_out))


async def _push(desk: EventState, stream: EventStream, token: str) -> tuple[Posted | None, Sent]:
    """Push one token (RFC 8935, section 2)."""
    headers = {"content-type": SET_MEDIA_TYPE, "accept": "application/json"}
    if stream.header:
        headers["authorization"] = stream.header
    try:
        answer = await desk.post.post(stream.endpoint, headers, token.encode("ascii"))
    except Unavailable as error:
        _log.warning("%s: %s", stream.receiver, error.message)
        return None, "failed"
    if 200 <= answer.status < 300:
        return answer, "taken"
    _log.warning("%s answered an event with status %d", stream.receiver, answer.status)
    return answer, "refused" if answer.status == 400 else "failed"


async def _to_webhook(desk: EventState, stream: EventStream, body: bytes, identity: str) -> Sent:
    secret = desk.webhooks[stream.receiver]
    headers = signed_headers(body, identity=identity, at=desk.recorder.clock.now(), secret=secret)
    try:
        answer = await desk.post.post(stream.endpoint, headers, body)
    except Unavailable as error:
        _log.warning("webhook %s: %s", stream.receiver, error.message)
        return "failed"
    if 200 <= answer.status < 300:
        return "taken"
    _log.warning("webhook %s answered with status %d", stream.receiver, answer.status)
    return "failed"


def _error_in(answer: Posted | None) -> str:
    """Return `err` of a receiver's answer (RFC 8935, section 2.3). The text is untrusted."""
    try:
        said = parse(answer.body, limits=Limits(depth_max=4)) if answer is not None else None
    except Malformed:
        said = None
    error = said.get("err") if isinstance(said, dict) else None
    return error if isinstance(error, str) else "no reason"


def _pause(attempts: int, seconds_max: int) -> int:
    """Return the milliseconds before the next try."""
    return int(min(FIRST_RETRY_MILLIS * 2 ** min(attempts - 1, 20), seconds_max * 1000))
