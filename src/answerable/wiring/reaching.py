"""Build from settings the state of notifications, and the channels on which people are notified."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.adapters.event_http import HttpEventPost
from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite import SqliteDeliveryRegister, SqlitePushRegister
from answerable.adapters.system import SystemEntropy
from answerable.core.approval.delivery import DigestLimits
from answerable.core.identity.keys.keys import SEED_BYTES, SigningKey, new_private_jwk
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.incident.cloud_event import webhook_secret
from answerable.core.registry.documents.contacts import NO_CONTACTS
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.leases import SECRET_UNREADABLE
from answerable.flows.approval.notify_people import reach_always
from answerable.flows.state.reach_desk import NotificationState, PushSide, ReachLimits
from answerable.wiring.channel_settings import EMAIL, PUSH, SLACK, WEBHOOK, hooks_in, routes_in, server_in
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.smtp import SmtpServer
    from answerable.adapters.sqlite import SqliteStore
    from answerable.core.registry.documents.contacts import Contacts
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.ports.message_channel import MessageChannel
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.shard_link import ShardLink
    from answerable.wiring.setting_tree import Settings

PUSH_ALGORITHM: Final = "ecdsa-p256-sha256"
ANSWER_SECONDS_SPARE: Final = 0.9
"""Share of a try's time for one answer, so that a silent peer is distinguished from a slow one."""


def reach_desk(
    settings: Settings, store: SqliteStore, registry: RegistryStore, origin: str
) -> NotificationState:
    """Build the state without its channels, which `kept_reaching` opens: faulty channels must not keep a command
    without a server from stopping something. origin: of the log."""
    wanted = settings.channels
    return NotificationState(
        register=SqliteDeliveryRegister(store),
        routes=routes_in(wanted),
        name_answerers=frozenset(wanted.name_answerers),
        limits=ReachLimits(
            digest=DigestLimits(messages_max=wanted.messages_max, window_ms=wanted.digest_seconds * 1000),
            try_seconds_max=wanted.try_seconds_max,
        ),
        push=_push_side(settings, store),
        opens=partial(_open_channels, settings=settings, registry=registry, origin=origin),
    )


async def kept_reaching(
    recorder: Recorder, authority: AuthorityRegisters, asking: AskingState, link: ShardLink | None
) -> None:
    """Notify people until cancelled. Does nothing if no route is configured.

    Raises at once: Unavailable (`secret.*`), Malformed (`secret.*`, `webhook.secret`, `event_post.authorities`).
    """
    if asking.reach is not None:
        asking.reach.open_channels()
    await reach_always(recorder.ledger, authority, asking, link, recorder.entropy)


def _open_channels(
    desk: NotificationState, *, settings: Settings, registry: RegistryStore, origin: str
) -> None:
    wanted, named = settings.channels, {route.channel for route in desk.routes}
    if not named:
        return
    post, given = _post(settings)
    # Here, when a server starts to notify people: most servers have one kind of channel, and many have none.
    from answerable.adapters.message_webhook import MessageWebhook
    from answerable.adapters.slack import SlackChannel
    from answerable.adapters.smtp import SmtpChannel
    from answerable.adapters.web_push import WebPushChannel

    channels: dict[str, MessageChannel] = {}
    addresses: dict[str, Callable[[str], tuple[str, ...]]] = {}
    if EMAIL in named:
        channels[EMAIL] = SmtpChannel(_mail_server(settings, given))
        addresses[EMAIL] = lambda name: _given(_contacts(registry, name).email)
    if SLACK in named:
        token = secret(wanted.slack_token, data=settings.data).decode("ascii", "replace").strip()
        channels[SLACK] = SlackChannel(post, token=token, url=wanted.slack_url.rstrip("/"))
        addresses[SLACK] = lambda name: _given(_contacts(registry, name).slack[1])
    if PUSH in named:
        key = _push_key(settings)
        if desk.push is not None:
            devices = desk.push.register
            channels[PUSH] = WebPushChannel(
                post, devices, key=key, contact=wanted.push_contact, hosts=wanted.push_hosts
            )
            addresses[PUSH] = lambda name: tuple(one.id for one in devices.of(name))
    for hook in hooks_in(wanted):
        if WEBHOOK + hook.name in named:
            signs = _hook_secret(settings, hook.name, hook.secret)
            source = settings.console.origin or f"urn:answerable:{origin}"
            channels[WEBHOOK + hook.name] = MessageWebhook(post, url=hook.url, secret=signs, source=source)
            addresses[WEBHOOK + hook.name] = lambda _name: ()
    desk.channels, desk.addresses = channels, addresses


def require_channels(settings: Settings) -> None:
    """Check what the channels in use are opened with. Raises as `kept_reaching` does at once."""
    wanted = settings.channels
    named = {route.channel for route in routes_in(wanted)}
    if not named:
        return
    _, given = _post(settings)
    if EMAIL in named:
        _mail_server(settings, given)
    for hook in hooks_in(wanted):
        if WEBHOOK + hook.name in named:
            _hook_secret(settings, hook.name, hook.secret)


def _post(settings: Settings) -> tuple[HttpEventPost, bytes]:
    """Return what posts messages, and the authorities that it trusts, in PEM."""
    wanted = settings.channels
    given = secret(wanted.authorities, data=settings.data) if wanted.authorities else b""
    seconds = wanted.try_seconds_max * ANSWER_SECONDS_SPARE
    return HttpEventPost(answer_seconds_max=seconds, authorities=given), given


def _push_side(settings: Settings, store: SqliteStore) -> PushSide | None:
    if not settings.channels.push:
        return None
    try:
        key = _push_key(settings)
    except Unavailable:
        return None  # Reported when the server starts to notify people.
    from answerable.adapters.web_push import vapid_key

    return PushSide(
        register=SqlitePushRegister(store), key=vapid_key(key), hosts=settings.channels.push_hosts
    )


def _push_key(settings: Settings) -> SigningKey:
    """Open the push key. Devices are bound to it: after its loss everybody must enable their devices again."""
    place = settings.data / "keys" / "web-push.seed"
    seed = open_or_create_secret(place, count=SEED_BYTES[PUSH_ALGORITHM], entropy=SystemEntropy())
    return SigningKey(new_private_jwk(PUSH_ALGORITHM, seed))


def _mail_server(settings: Settings, authorities: bytes) -> SmtpServer:
    from answerable.adapters.smtp import SmtpServer

    wanted = settings.channels
    host, port = server_in(wanted)
    # Invalid PEM was detected when the same authorities were opened for HTTP.
    context = ssl.create_default_context(cadata=authorities.decode("ascii") or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    password = secret(wanted.email_password, data=settings.data) if wanted.email_password else b""
    try:
        readable = password.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise SECRET_UNREADABLE("the password of the mail server is not text") from None
    return SmtpServer(
        host=host,
        port=port,
        tls="none" if wanted.email_tls == "none" else "tls" if wanted.email_tls == "tls" else "starttls",
        sender=wanted.email_from,
        context=context,
        user=wanted.email_user,
        password=readable,
        answer_seconds_max=wanted.try_seconds_max * ANSWER_SECONDS_SPARE,
    )


def _hook_secret(settings: Settings, name: str, reference: str) -> bytes:
    try:
        return webhook_secret(secret(reference, data=settings.data))
    except Malformed as fault:
        raise Malformed(f"webhook `{name}`: {fault.message}", code=fault.code) from None


def _contacts(registry: RegistryStore, name: str) -> Contacts:
    person = registry.current.principals.get(PrincipalId(name))
    return person.contacts if person is not None else NO_CONTACTS


def _given(address: str) -> tuple[str, ...]:
    return (address,) if address else ()
