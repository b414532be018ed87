"""Assemble the announcement of revocation events: its register, its signing key, its receivers and webhooks."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.event_http import HttpEventPost
from answerable.adapters.local_keys import open_or_create_event_key
from answerable.adapters.sqlite import SqliteEventRegister
from answerable.core.incident.cloud_event import webhook_secret
from answerable.core.incident.event_stream import EventStream
from answerable.errors import Malformed, Unavailable
from answerable.flows.events.deliver_events import deliver_always
from answerable.flows.events.event_desk import EventLimits, EventState
from answerable.flows.ledger.announce import announce_always
from answerable.wiring.announcing_settings import receivers_in, webhooks_in
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    from answerable.adapters.sqlite import SqliteStore
    from answerable.flows.state.token_desk import TokenState
    from answerable.ports.event_register import EventRegister
    from answerable.wiring.announcing_settings import Webhook
    from answerable.wiring.setting_tree import Settings

_WEBHOOK: Final = "webhook:"
_log: Final = logging.getLogger(__name__)


def event_desk(settings: Settings, store: SqliteStore, tokens: TokenState) -> EventState:
    """Build the state, with a stream for each configured webhook. Raises Unavailable (`register.*`). Any other fault
    only keeps the server, which sends, from starting; commands without a server can still stop things."""
    wanted = settings.announcing
    receivers, webhooks = receivers_in(wanted), webhooks_in(wanted)
    register = SqliteEventRegister(store)
    desk = EventState(
        recorder=tokens.recorder,
        authority=tokens.authority,
        register=register,
        post=HttpEventPost(answer_seconds_max=wanted.answer_seconds_max),
        issuer=tokens.issuer,
        receivers=receivers,
        limits=EventLimits(
            waiting_max=wanted.waiting_max,
            streams_max=wanted.streams_max,
            answer_seconds_max=wanted.answer_seconds_max,
            retry_seconds_max=wanted.retry_seconds_max,
            poll_seconds_max=wanted.poll_seconds_max,
        ),
    )
    try:
        _open_to_send(desk, settings, webhooks)
    except (Malformed, Unavailable) as fault:
        desk.fault = fault
    _set_up(register, webhooks)
    if not settings.ledger.shard:
        _free(register)
    for stream in register.streams():
        if stream.method != "webhook" and stream.receiver not in receivers:
            _log.warning(
                "%s has a stream of events and is not in `announcing.receivers`: it receives no events",
                stream.receiver,
            )
    return desk


async def kept_announcing(desk: EventState) -> None:
    """Read this log's new entries and send pending events, until cancelled. Returns at once if neither a receiver nor a
    webhook is configured.

    Raises at once: Unavailable (`key.*`, `secret.*`), Malformed (`secret.*`, `webhook.secret`,
    `event_post.authorities`).
    """
    if desk.fault is not None:
        raise desk.fault
    if not desk.receivers and not desk.webhooks:
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(announce_always, desk)
        tasks.start_soon(deliver_always, desk)


def _open_to_send(desk: EventState, settings: Settings, webhooks: tuple[Webhook, ...]) -> None:
    """Open the key, secrets and authorities. Raises as `kept_announcing`."""
    wanted = settings.announcing
    if wanted.authorities:
        authorities = secret(wanted.authorities, data=settings.data)
        desk.post = HttpEventPost(answer_seconds_max=wanted.answer_seconds_max, authorities=authorities)
    if desk.receivers:
        place = settings.data / "keys" / "events" / "1.pem"
        desk.key = open_or_create_event_key(place, entropy=desk.recorder.entropy)
    desk.webhooks = {one.name: _secret(settings, one) for one in webhooks}


def _secret(settings: Settings, webhook: Webhook) -> bytes:
    try:
        return webhook_secret(secret(webhook.secret, data=settings.data))
    except Malformed as fault:
        raise Malformed(f"webhook `{webhook.name}`: {fault.message}", code=fault.code) from None


def _free(register: EventRegister) -> None:
    """Release the streams that an ended process had claimed, for no other process works on this directory: pending
    events are sent at once."""
    for stream in register.streams():
        register.release(stream.id, attempts=register.queue(stream.id).attempts, next_at=0)


def _set_up(register: EventRegister, webhooks: tuple[Webhook, ...]) -> None:
    """Have a stream for each configured webhook and none for a removed one. Several processes may run this
    concurrently."""
    names = {_WEBHOOK + one.name for one in webhooks}
    for stream in register.streams():
        if stream.method == "webhook" and stream.id not in names:
            register.remove(stream.id)
    for one in webhooks:
        identity = _WEBHOOK + one.name
        found = register.find(identity)
        wanted = replace(
            found or EventStream(id=identity, receiver=one.name, method="webhook"),
            endpoint=one.url,
            stops=one.stops,
            groups=one.groups,
        )
        if wanted != found:
            register.put(wanted)
