"""Report the state of notification channels, and send a test message on one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.approval.delivery import PERSON, PLACE, Delivery
from answerable.core.approval.message import trial_message
from answerable.core.identity.names.principal import PrincipalId
from answerable.errors import shown
from answerable.errors.codes.approval import CHANNEL_RECEIVER, CHANNEL_UNKNOWN
from answerable.flows.approval.notify_people import try_to_send
from answerable.flows.approval.open_approval import approval_page
from answerable.flows.approval.plan_notifications import address_of
from answerable.flows.events.event_desk import in_register

if TYPE_CHECKING:
    from answerable.core.approval.route import Route
    from answerable.flows.state.parts import AskingState
    from answerable.flows.state.reach_desk import NotificationState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.delivery_register import ChannelState
    from answerable.ports.entropy import Entropy
    from answerable.ports.message_channel import Sent
    from answerable.ports.registry_store import RegistryStore

_WHERE: Final = {
    "email": "set `email` in their Principal document and apply it",
    "slack": "set `slack` in their Principal document and apply it",
    "push": "they turn it on in the console, under Passkeys",
}
"""How a person gets an address on a channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView:
    """The state of a channel. waiting: receivers whose delivery failed and is still to be tried."""

    name: str
    state: ChannelState
    routes: tuple[Route, ...]
    waiting: int


async def channels_seen(
    reach: NotificationState | None, limits: WalkLimits, clock: Clock
) -> tuple[ChannelView, ...]:
    """Return every channel named in the settings. Raises Unavailable (`register.*`)."""
    desk, now = reach, clock.now()
    if desk is None:
        return ()
    since = now - desk.limits.after_end_ms - limits.approval_ttl_ms
    found = []
    for name, state in (await channel_states(reach, clock)).items():
        known = await in_register(desk.register.on, name, since=since)
        waiting = sum(bool(one.error) and not one.missed for one in known)
        found.append(ChannelView(name=name, state=state, routes=desk.routes_on(name), waiting=waiting))
    return tuple(found)


async def channel_states(reach: NotificationState | None, clock: Clock) -> dict[str, ChannelState]:
    """Return the state of each channel, by name. Raises Unavailable (`register.*`)."""
    desk, now = reach, clock.now()
    if desk is None:
        return {}
    names = dict.fromkeys(route.channel for route in desk.routes)
    return {name: await in_register(desk.register.open, name, now=now) for name in names}


async def told_of(reach: NotificationState | None, about: str) -> tuple[Delivery, ...]:
    """Return who was notified of an approval, and who was not. Raises Unavailable (`register.*`)."""
    return await in_register(reach.register.of, about) if reach is not None else ()


async def try_channel(
    registry: RegistryStore, asking: AskingState, clock: Clock, entropy: Entropy, channel: str, person: str
) -> Sent:
    """Send a test message to a person, or where `person` is empty to the channel's own place.

    Raises Refused (`channel.unknown`, `channel.receiver`), and the exceptions of opening the channels.
    """
    desk = asking.reach
    if desk is not None:
        desk.open_channels()
    if desk is None or channel not in desk.channels:
        known = ", ".join(desk.channels) if desk is not None else ""
        raise CHANNEL_UNKNOWN(
            f"there is no channel {shown(channel)}: "
            + (f"there are {known}" if known else "set `channels.routes` and start again")
        )
    place = next((route.place for route in desk.routes_on(channel) if route.place), "")
    if not person and not place:
        raise CHANNEL_RECEIVER(f"channel {shown(channel)} sends to single people: name a person")
    to = f"{PERSON}{person}" if person else f"{PLACE}{place}"
    addresses = address_of(
        registry, desk, Delivery(about="test", channel=channel, to=to, made_at=clock.now())
    )
    if not addresses:
        registered = PrincipalId(person) in registry.current.principals
        why = (
            f"has no address on {shown(channel)}: {_WHERE.get(channel, 'it tells places, not people')}"
            if registered
            else "is nobody who is registered and active"
        )
        raise CHANNEL_RECEIVER(f"{shown(person)} {why}")
    message = trial_message(
        f"test.{entropy.token()}",
        channel=channel,
        link=approval_page(asking.passkeys, "").rstrip("/"),
        now=clock.now(),
    )
    return await try_to_send(clock, desk, channel, message, addresses[0])
