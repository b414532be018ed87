"""Check the settings of chat clicks: everything that must be set before a click counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.assurance_level import CHAT
from answerable.errors import Malformed
from answerable.wiring.channel_settings import SLACK, routes_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.wiring.setting_tree import Settings


def wants_clicks(settings: Settings) -> bool:
    """Whether any tier accepts a click."""
    return CHAT in settings.walk.signatures


def click_faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault; nothing if no tier accepts a click and no secret is set."""
    channels, walk = settings.channels, settings.walk
    if channels.slack_signing_secret and not channels.slack_token:
        yield "channels.slack_token", "clicks need messages, and without a token none are sent"
    if not wants_clicks(settings):
        return
    if not channels.slack_signing_secret:
        yield (
            "channels.slack_signing_secret",
            f"`walk.signatures` accepts clicks (`{CHAT}`): set it to authenticate them",
        )
    if not settings.console.enabled or not settings.console.origin:
        yield "console.origin", "clicks are received at the console's address: set it, and enable the console"
    for tier, (asks, looks) in enumerate(zip(walk.signatures, walk.look_seconds_min, strict=False)):
        if asks == CHAT and looks:
            yield (
                "walk.look_seconds_min",
                f"tier {tier} asks for {looks} s of looking, which a click cannot prove: remove `{CHAT}`, or set "
                "0",
            )
    try:
        routed = any(route.channel == SLACK and not route.place for route in routes_in(channels))
    except Malformed:
        return  # The routes' own check reports this.
    if not routed:
        yield "channels.routes", f"no route uses `{SLACK}`, and only messages to a person have buttons"
