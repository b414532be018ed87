"""Add or remove a person's device for push messages."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Final

from answerable.core.approval.push_device import PushDevice, check_device
from answerable.core.base64url import to_base64url
from answerable.errors.codes.approval import PUSH_DEVICE, PUSH_GONE, PUSH_OFF
from answerable.flows.events.event_desk import in_register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.names.principal import PrincipalId
    from answerable.flows.state.reach_desk import NotificationState, PushSide
    from answerable.ports.clock import Clock

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


def push_side(reach: NotificationState | None) -> PushSide:
    """Return the push settings and register. Raises Refused (`push.off`)."""
    side = reach.push if reach is not None else None
    if side is None:
        raise PUSH_OFF()
    return side


async def notify_device(
    reach: NotificationState | None,
    clock: Clock,
    *,
    person: PrincipalId,
    endpoint: str,
    key: str,
    secret: str,
    label: str,
) -> PushDevice:
    """Send this person's messages to this device, too, from now on. key, secret: base64url, as the browser reports
    them.

    Raises Refused (`push.off`, `push.host`, `push.full`), Malformed (`push.device`), Unavailable.
    """
    side = push_side(reach)
    device = PushDevice(
        person=person,
        endpoint=endpoint,
        key=_octets(key),
        secret=_octets(secret),
        label=label,
        made_at=clock.now(),
    )
    check_device(device, side.hosts)
    await in_register(side.register.add, device)
    return device


async def devices_of(reach: NotificationState | None, person: PrincipalId) -> Sequence[PushDevice]:
    """Return the devices of a person; none where push is off. Raises Unavailable."""
    side = reach.push if reach is not None else None
    return await in_register(side.register.of, person) if side is not None else ()


async def forget_device(reach: NotificationState | None, *, person: PrincipalId, device: str) -> None:
    """Stop sending messages to this device of the person. Raises Refused (`push.off`, `push.gone`), Unavailable."""
    if not await in_register(push_side(reach).register.remove, device, person=person):
        raise PUSH_GONE()


def _octets(text: str) -> bytes:
    found = (
        urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if _BASE64URL.fullmatch(text) and len(text) % 4 != 1
        else b""
    )
    if not found or to_base64url(found) != text:
        raise PUSH_DEVICE("the key of a device must be base64url without padding")
    return found
