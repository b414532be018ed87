"""Settings of revocation events: who may have event streams, which webhooks exist, and all time limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from answerable.errors import Malformed, MalformedCode, shown
from answerable.errors.codes.services import SETTINGS_RECEIVERS, SETTINGS_WEBHOOKS
from answerable.setting_fields import number, reference, seconds, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

RECEIVERS_MAX: Final = 64
WEBHOOKS_MAX: Final = 64
URL_CHARS_MAX: Final = 2_048
STOPS: Final = "stops"
GROUP: Final = "group:"
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncingSettings:
    """Whom this server notifies when a right to act ends, is held or is restored. Off until a receiver is listed."""

    receivers: tuple[str, ...] = texts(
        (),
        "who may have streams of events (Shared Signals), each `AGENT [PUSH-URL ...]`: a registered agent that proves "
        "itself as to the token service, and the only addresses to which its events may be pushed",
    )
    webhooks: tuple[str, ...] = texts(
        (),
        "webhooks, each `NAME URL SECRET CHOICE [CHOICE ...]`; SECRET is `file:PATH` or `env:NAME` with `whsec_` and "
        "base64 of 24 to 64 bytes; CHOICE is `stops`, or `group:NAME` for what policies tell a group (`notify:NAME`)",
    )
    authorities: str = reference(
        "authorities whose certificates receivers may show, PEM; empty for the system's"
    )
    waiting_max: int = number(
        10_000,
        "events that may wait for one receiver; beyond it, its stream is paused with a notice, and later events are "
        "counted but not queued (the ledger has them)",
        unit="events",
        minimum=10,
        maximum=1_000_000,
    )
    streams_max: int = number(8, "streams of one receiver", unit="streams", minimum=1, maximum=100)
    answer_seconds_max: float = seconds(
        10.0, "longest time a receiver may take to answer", minimum=0.1, maximum=60
    )
    retry_seconds_max: int = number(
        300,
        "longest pause between two tries; the first one is a second, then doubled; there is no last try",
        unit="seconds",
        minimum=1,
        maximum=86_400,
    )
    poll_seconds_max: float = seconds(
        25.0, "how long a receiver that polls may wait for events", minimum=0, maximum=300
    )


class Webhook(NamedTuple):
    """One line of the setting. secret: reference to the secret. stops: whether it receives revocations and holds."""

    name: str
    url: str
    secret: str
    stops: bool
    groups: tuple[str, ...]


def receivers_in(settings: AnnouncingSettings) -> dict[str, frozenset[str]]:
    """Return agents with their allowed push addresses. Raises Malformed (`settings.receivers`)."""
    found: dict[str, frozenset[str]] = {}
    for line in settings.receivers:
        name, *urls = line.split() or [""]
        if not _NAME.fullmatch(name) or name in found or len(found) >= RECEIVERS_MAX:
            raise SETTINGS_RECEIVERS(
                f"{shown(line)} is not `AGENT [PUSH-URL ...]`, each agent once, at most {RECEIVERS_MAX}"
            )
        for url in urls:
            check_url(url, code=SETTINGS_RECEIVERS)
        found[name] = frozenset(urls)
    return found


def webhooks_in(settings: AnnouncingSettings) -> tuple[Webhook, ...]:
    """Return the webhooks. Raises Malformed (`settings.webhooks`)."""
    found: dict[str, Webhook] = {}
    for line in settings.webhooks:
        words = line.split()
        name, url, secret, *choices = words if len(words) > 3 else ["", "", "", ""]
        groups = tuple(one.removeprefix(GROUP) for one in choices if one.startswith(GROUP))
        known = all(
            one == STOPS or (one.startswith(GROUP) and _NAME.fullmatch(one.removeprefix(GROUP)))
            for one in choices
        )
        if not _NAME.fullmatch(name) or not known or name in found or len(found) >= WEBHOOKS_MAX:
            # The line may contain the secret itself, so it is not shown.
            raise SETTINGS_WEBHOOKS(
                "expected `NAME URL SECRET CHOICE [CHOICE ...]`, such as "
                "`ops https://hooks.example/stops file:ops.hook stops group:security`, each name once, at most "
                f"{WEBHOOKS_MAX}"
            )
        check_url(url, code=SETTINGS_WEBHOOKS)
        if not secret.startswith(("file:", "env:")) or secret in ("file:", "env:"):
            raise SETTINGS_WEBHOOKS(
                f"webhook {shown(name)}: a secret is a reference, `file:PATH` or `env:NAME`, never a value"
            )
        found[name] = Webhook(name, url, secret, STOPS in choices, groups)
    return tuple(found.values())


def announcing_faults(settings: AnnouncingSettings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault."""
    try:
        receivers_in(settings)
    except Malformed as fault:
        yield "announcing.receivers", fault.message
    try:
        webhooks_in(settings)
    except Malformed as fault:
        yield "announcing.webhooks", fault.message


def check_url(url: str, *, code: MalformedCode) -> None:
    """Check that an address uses TLS or is on this machine, and has no part that readers interpret differently."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.fragment
        plain = plain and parts.username is None and parts.password is None and (parts.port or 1) > 0
        plain = plain and all("!" <= mark <= "~" and mark not in '\\"<>^`{|}' for mark in url)
    except ValueError:
        plain = False
    if not plain or len(url) > URL_CHARS_MAX:
        raise code(f"{shown(url)} is not an address such as `https://receiver.example/events`")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise code(f"{shown(url)}: events are only sent over TLS: give an `https` URL, or one of loopback")
