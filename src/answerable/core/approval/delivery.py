"""Plan notifications: who was notified of what on which channel, and what is still to be sent. Sends nothing.

Laws: nobody is notified twice of the same, except where an attempt may have reached them without confirmation; a
receiver of too many messages in a period gets the rest in one digest; what ended before anybody was notified is missed,
and stays visible as missed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Told = Literal["", "asked", "digest", "ended", "notice"]

PERSON: Final = "person:"
REQUESTER: Final = "requester:"
PLACE: Final = "place:"
FIRST_RETRY_MILLIS: Final = 2_000
RETRY_MILLIS_MAX: Final = 60_000
ERROR_CHARS_MAX: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One notification to one receiver on one channel.

    about: the approval's id, or the notice's own. to: `person:NAME`, `requester:NAME` or `place:NAME`. made_at, at:
    Unix milliseconds, when it was planned and when it was last sent. told: what was sent last. attempts: failed
    attempts since then. handle: the channel's id of the message. missed: it will never be sent. error: the last reason.
    body: the content, where it is not made from the approval.
    """

    about: str
    channel: str
    to: str
    made_at: int
    told: Told = ""
    at: int = 0
    attempts: int = 0
    next_at: int = 0
    handle: str = ""
    missed: bool = False
    error: str = ""
    body: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """The key of the notification."""
        return self.about, self.channel, self.to

    @property
    def person(self) -> str:
        """The person's name; empty for a place."""
        return "" if self.to.startswith(PLACE) else self.to.partition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestLimits:
    """When notifications are combined into a digest. messages_max: messages sent individually to one receiver on one
    channel within window_ms; further ones are combined."""

    messages_max: int = 10
    window_ms: int = 600_000


def pause(attempts: int, millis_max: int = RETRY_MILLIS_MAX) -> int:
    """Return the milliseconds before the next attempt, after this many failed ones."""
    return int(min(FIRST_RETRY_MILLIS * 2 ** min(max(attempts - 1, 0), 20), millis_max))


def failed(delivery: Delivery, *, now: int, why: str, wait_ms: int = 0) -> Delivery:
    """Return the notification after a failed attempt; another attempt follows."""
    attempts = delivery.attempts + 1
    return replace(
        delivery,
        attempts=attempts,
        next_at=now + max(pause(attempts), wait_ms),
        error=why[:ERROR_CHARS_MAX],
    )


def told(delivery: Delivery, what: Told, *, now: int, handle: str) -> Delivery:
    """Return the notification after an attempt that the channel accepted."""
    return replace(
        delivery, told=what, at=now, attempts=0, next_at=0, handle=handle or delivery.handle, error=""
    )


def missed(delivery: Delivery, *, why: str = "") -> Delivery:
    """Return the notification as one that will never be sent."""
    return replace(
        delivery, missed=True, error=(why or delivery.error or "it ended before")[:ERROR_CHARS_MAX]
    )


def put_together(
    due: Iterable[Delivery], known: Iterable[Delivery], limits: DigestLimits, *, now: int
) -> tuple[list[Delivery], dict[str, list[Delivery]]]:
    """Return the notifications to send individually, and by receiver those to combine in one digest.

    due: on one channel, not sent yet, in order. known: all of that channel. Within a window a receiver gets
    `messages_max` individual messages and then one digest of the rest; later ones wait for the next window.
    """
    recent: dict[str, int] = {}
    put: dict[str, int] = {}
    for one in known:
        if one.told in ("asked", "digest") or (one.told == "ended" and not one.to.startswith(REQUESTER)):
            counted = put if one.told == "digest" else recent
            if one.at > now - limits.window_ms:
                counted[one.to] = counted.get(one.to, 0) + 1
    alone: list[Delivery] = []
    together: dict[str, list[Delivery]] = {}
    for one in due:
        if recent.get(one.to, 0) < limits.messages_max:
            recent[one.to] = recent.get(one.to, 0) + 1
            alone.append(one)
        elif not put.get(one.to):
            together.setdefault(one.to, []).append(one)
    return alone, together
