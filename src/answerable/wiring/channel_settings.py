"""Settings of the notification channels that reach approvers: who is notified on which, and how each is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.approval.route import EVERYBODY, THE_REQUESTER, Route
from answerable.core.registry.documents.contacts import is_email
from answerable.errors import Malformed, shown
from answerable.errors.codes.services import SETTINGS_CHANNELS
from answerable.setting_fields import flag, number, reference, seconds, text, texts
from answerable.wiring.announcing_settings import check_url

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTES_MAX: Final = 64
WEBHOOKS_MAX: Final = 16
EMAIL: Final = "email"
SLACK: Final = "slack"
PUSH: Final = "push"
WEBHOOK: Final = "webhook:"
TLS_KINDS: Final = ("starttls", "tls", "none")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_SLACK_PLACE: Final = re.compile(r"[CG][A-Z0-9]{2,40}")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_PUSH_HOST: Final = re.compile(r"\*?[a-z0-9.-]{1,253}(?::[0-9]{1,5})?")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """How people are notified that an action waits for them. Off until a route is listed. The console and the command
    `answerable approval list` show waiting actions in any case."""

    routes: tuple[str, ...] = texts(
        (),
        "which group is notified where, each `GROUP CHANNEL [CHANNEL ...]`: GROUP is a group of people, `*` for every "
        "one, or `@requester` for the person who gave the task, who is notified of the outcome; CHANNEL is `email`, "
        "`push`, `slack`, `slack:CHANNEL-ID` or `webhook:NAME`",
    )
    name_answerers: tuple[str, ...] = texts(
        ("email", "slack"), "channels whose messages name who approved or denied"
    )
    messages_max: int = number(
        10,
        "questions that are sent one by one to one person on a channel within `digest_seconds`; further ones are "
        "combined into one message",
        unit="messages",
        minimum=1,
        maximum=1_000,
    )
    digest_seconds: int = number(600, "that time", unit="seconds", minimum=1, maximum=86_400)
    try_seconds_max: float = seconds(20.0, "longest time to hand over one message", minimum=0.1, maximum=120)
    authorities: str = reference(
        "authorities whose certificates servers of channels may show, PEM; empty for the system's"
    )
    email_server: str = text("", "mail server, `HOST:PORT`; empty for no mail")
    email_tls: str = text(
        "starttls", "`starttls`, `tls` from the first byte, or `none` for a server on loopback"
    )
    email_from: str = text("", "address that mail is from; bounces come back to it")
    email_user: str = text("", "name to sign in to the mail server with; empty for no sign-in")
    email_password: str = reference("password for it")
    slack_token: str = reference("token of a Slack app's bot that may `chat:write`; empty for no Slack")
    slack_signing_secret: str = reference(
        "signing secret of that app, which authenticates its clicks; messages have buttons only where "
        "`walk.signatures` has `chat` for a tier, and the bot then needs `users:read`"
    )
    slack_url: str = text("https://slack.com/api", "address of Slack's Web API")
    webhooks: tuple[str, ...] = texts(
        (),
        "webhooks, each `NAME URL SECRET`; SECRET is `file:PATH` or `env:NAME` with `whsec_` and base64 of 24 to 64 "
        "bytes",
    )
    push: bool = flag(
        False, "send notifications to people's own devices (Web Push), which they turn on in the console"
    )
    push_contact: str = text(
        "", "mail address that push services may write to about what this deployment sends; needed for `push`"
    )
    push_hosts: tuple[str, ...] = texts(
        (
            "fcm.googleapis.com",
            "*.push.services.mozilla.com",
            "*.push.apple.com",
            "*.notify.windows.com",
        ),
        "hosts of push services that a device may name, and no others; `*.` for every name below",
    )


class WebhookLine(NamedTuple):
    """One line of the setting. secret: reference to the secret."""

    name: str
    url: str
    secret: str


def routes_in(settings: ChannelSettings) -> tuple[Route, ...]:
    """Return the routes. Raises Malformed (`settings.channels`)."""
    found: list[Route] = []
    for line in settings.routes:
        group, *channels = line.split() or [""]
        known = group in (EVERYBODY, THE_REQUESTER) or _NAME.fullmatch(group)
        if not known or not channels or len(found) + len(channels) > ROUTES_MAX:
            raise SETTINGS_CHANNELS(
                f"{shown(line)} is not `GROUP CHANNEL [CHANNEL ...]`, such as `approvers email slack`, at most "
                f"{ROUTES_MAX} in all"
            )
        found += [_route(group, channel) for channel in channels]
    return tuple(found)


def hooks_in(settings: ChannelSettings) -> tuple[WebhookLine, ...]:
    """Return the webhooks. Raises Malformed (`settings.channels`)."""
    found: dict[str, WebhookLine] = {}
    for line in settings.webhooks:
        words = line.split()
        name, url, secret = words if len(words) == 3 else ["", "", ""]
        if not _NAME.fullmatch(name) or name in found or len(found) >= WEBHOOKS_MAX:
            # The line may contain the secret itself, so it is not shown.
            raise SETTINGS_CHANNELS(
                "expected `NAME URL SECRET`, such as `ops https://hooks.example/approvals file:ops.hook`, each name "
                f"once, at most {WEBHOOKS_MAX}"
            )
        check_url(url, code=SETTINGS_CHANNELS)
        if not secret.startswith(("file:", "env:")) or secret in ("file:", "env:"):
            raise SETTINGS_CHANNELS(
                f"webhook {shown(name)}: a secret is a reference, `file:PATH` or `env:NAME`, never a value"
            )
        found[name] = WebhookLine(name, url, secret)
    return tuple(found.values())


def server_in(settings: ChannelSettings) -> tuple[str, int]:
    """Return host and port of the mail server. Raises Malformed (`settings.channels`)."""
    host, _, port = settings.email_server.rpartition(":")
    if not _HOST.fullmatch(host) or not port.isdigit() or not 0 < int(port) < 65_536:
        raise SETTINGS_CHANNELS(
            f"{shown(settings.email_server)} is not `HOST:PORT`, such as `mail.example.com:587`"
        )
    return host.strip("[]"), int(port)


def channel_faults(settings: ChannelSettings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault."""
    try:
        hooks = {WEBHOOK + one.name for one in hooks_in(settings)}
    except Malformed as fault:
        hooks = None
        yield "channels.webhooks", fault.message
    try:
        routes = routes_in(settings)
    except Malformed as fault:
        routes = ()
        yield "channels.routes", fault.message
    ready = {EMAIL: settings.email_server, SLACK: settings.slack_token, PUSH: settings.push}
    for channel in dict.fromkeys(route.channel for route in routes):
        if channel.startswith(WEBHOOK) and hooks is not None and channel not in hooks:
            yield "channels.routes", f"there is no webhook {shown(channel.removeprefix(WEBHOOK))}"
        elif not ready.get(channel, True):
            needed = {EMAIL: "email_server", SLACK: "slack_token", PUSH: "push"}[channel]
            yield "channels.routes", f"`{channel}` is not set up: set `channels.{needed}`"
    for channel in settings.name_answerers:
        if channel not in ready and not channel.startswith(WEBHOOK):
            yield "channels.name_answerers", f"{shown(channel)} is not a channel: {', '.join(ready)}"
    yield from _mail_faults(settings)
    yield from _push_faults(settings)
    try:
        check_url(settings.slack_url, code=SETTINGS_CHANNELS)
    except Malformed as fault:
        yield "channels.slack_url", fault.message


def _mail_faults(settings: ChannelSettings) -> Iterator[tuple[str, str]]:
    if settings.email_tls not in TLS_KINDS:
        yield "channels.email_tls", f"expected one of {', '.join(f'`{one}`' for one in TLS_KINDS)}"
    if bool(settings.email_user) != bool(settings.email_password):
        missing = "email_password" if settings.email_user else "email_user"
        yield f"channels.{missing}", "a name and its password must be set together: this one is missing"
    if not settings.email_server:
        return
    try:
        host, _ = server_in(settings)
    except Malformed as fault:
        yield "channels.email_server", fault.message
        return
    if settings.email_tls == "none" and host not in _LOOPBACK:
        yield "channels.email_tls", f"{shown(host)} is not loopback: mail goes there over TLS"
    if not is_email(settings.email_from):
        yield (
            "channels.email_from",
            "expected the address that mail is from, such as `answerable@example.com`",
        )


def _push_faults(settings: ChannelSettings) -> Iterator[tuple[str, str]]:
    if settings.push and not is_email(settings.push_contact):
        yield "channels.push_contact", "expected a mail address that push services may write to"
    for host in settings.push_hosts:
        if not _PUSH_HOST.fullmatch(host) or "." not in host.strip("*."):
            yield "channels.push_hosts", f"{shown(host)} is not a host such as `push.example.com`"


def _route(group: str, channel: str) -> Route:
    kind, _, place = channel.partition(":")
    if channel in (EMAIL, SLACK, PUSH):
        return Route(group=group, channel=channel)
    if kind == SLACK and _SLACK_PLACE.fullmatch(place) and group != THE_REQUESTER:
        return Route(group=group, channel=SLACK, place=place)
    if f"{kind}:" == WEBHOOK and _NAME.fullmatch(place) and group != THE_REQUESTER:
        return Route(group=group, channel=channel, place=place)
    raise SETTINGS_CHANNELS(
        f"{shown(channel)} is not a channel for {group}: use `email`, `push`, `slack`"
        + ("" if group == THE_REQUESTER else ", `slack:CHANNEL-ID` or `webhook:NAME`")
    )
