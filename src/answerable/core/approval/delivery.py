"""Who was told of what on which channel, and what is still to be told: the plan, without the sending.

Laws: nobody is told the same twice but where a try may have reached them and did not say so; whoever is told of too
many in a while is told of the rest in one message; what ended before anybody was told is missed, and stays seen.
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
    """One thing to tell to one receiver on one channel.

    about: the approval's id, or of a notice its own. to: `person:NAME`, `requester:NAME` or `place:NAME`. made_at, at:
    Unix milliseconds, when it was planned and when it was last told. told: what was told last. attempts: tries since
    then that failed. handle: what the channel calls the message. missed: it never will be told. error: why, last.
    body: what is to be said, where that is not made of the approval.
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
        """What it is known by."""
        return self.about, self.channel, self.to

    @property
    def person(self) -> str:
        """The person's name; empty for a place."""
        return "" if self.to.startswith(PLACE) else self.to.partition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestLimits:
    """messages_max: told one by one to one receiver on one channel within window_ms; past it they are put together."""

    messages_max: int = 10
    window_ms: int = 600_000


def pause(attempts: int, millis_max: int = RETRY_MILLIS_MAX) -> int:
    """Milliseconds before the next try, after so many that failed."""
    return int(min(FIRST_RETRY_MILLIS * 2 ** min(max(attempts - 1, 0), 20), millis_max))


def failed(delivery: Delivery, *, now: int, why: str, wait_ms: int = 0) -> Delivery:
    """After a try that failed; there will be another one."""
    attempts = delivery.attempts + 1
    return replace(
        delivery,
        attempts=attempts,
        next_at=now + max(pause(attempts), wait_ms),
        error=why[:ERROR_CHARS_MAX],
    )


def told(delivery: Delivery, what: Told, *, now: int, handle: str) -> Delivery:
    """After a try that the channel took."""
    return replace(
        delivery, told=what, at=now, attempts=0, next_at=0, handle=handle or delivery.handle, error=""
    )


def missed(delivery: Delivery, *, why: str = "") -> Delivery:
    """It never will be told."""
    return replace(
        delivery, missed=True, error=(why or delivery.error or "it ended before")[:ERROR_CHARS_MAX]
    )


def put_together(
    due: Iterable[Delivery], known: Iterable[Delivery], limits: DigestLimits, *, now: int
) -> tuple[list[Delivery], dict[str, list[Delivery]]]:
    """Those that are told one by one, and by receiver those that one message is to speak of.

    due: on one channel, not told of yet, in order. known: all of that channel. Within a window a receiver gets
    `messages_max` of their own and then one that speaks of the rest; whatever comes later waits for the next window.
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
