"""What telling people works with, put together by wiring: the channels, who is told on which, what is known."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.approval.delivery import DigestLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.notice import Notice
    from answerable.core.approval.route import Route
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.ports.delivery_register import DeliveryRegister
    from answerable.ports.message_channel import MessageChannel
    from answerable.ports.push_register import PushRegister

NOTICES_MAX: Final = 1_000
"""That wait in memory to be put down; what comes when so many wait is counted and not told. The ledger has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachLimits:
    """digest: how many one receiver is told of one by one. after_end_ms: how long it is tried to tell what came of an
    approval. kept_ms: how long it is remembered who was told. at_once_max: tries at a time on one channel.
    try_seconds_max: how long one may take."""

    digest: DigestLimits = field(default_factory=DigestLimits)
    after_end_ms: int = 3_600_000
    kept_ms: int = 30 * 86_400_000
    at_once_max: int = 4
    try_seconds_max: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSide:
    """key: by which this server is known to browsers, base64url. hosts: of push services that a device may name."""

    register: PushRegister
    key: str
    hosts: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class NotificationState:
    """Implements ports.approval_channel.ApprovalChannel: it remembers what is new and wakes who tells it.

    addresses: by channel, how a person is reached there; empty where they are not. name_answerers: channels on which it
    is said who answered. notices: that are not put down yet, by whoever has `putting_down`. lost: those that were not
    even kept. opens: gives the desk its channels. push: for devices of people; None where they are told on none.
    """

    register: DeliveryRegister
    channels: Mapping[str, MessageChannel] = field(default_factory=dict)
    addresses: Mapping[str, Callable[[str], tuple[str, ...]]] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    name_answerers: frozenset[str] = frozenset()
    limits: ReachLimits = field(default_factory=ReachLimits)
    news: anyio.Event = field(default_factory=anyio.Event)
    notices: deque[Notice] = field(default_factory=deque)
    putting_down: anyio.Lock = field(default_factory=anyio.Lock)
    lost: int = 0
    opens: Callable[[NotificationState], None] | None = None
    push: PushSide | None = None

    def announce(self, approval: Approval, *, to: Sequence[PrincipalId] | None = None, step: int = 0) -> None:
        """As the port says: the approval is in its register, where it is found, and whose turn it is with it."""
        del approval, to, step
        self.wake()

    def notify(self, notice: Notice) -> None:
        if not self.channels:
            return
        if len(self.notices) >= NOTICES_MAX:
            self.lost += 1
            return
        self.notices.append(notice)
        self.wake()

    def wake(self) -> None:
        """Have it looked at now whether there is something to tell."""
        news, self.news = self.news, anyio.Event()
        news.set()

    def open_channels(self) -> None:
        """Have the channels from now on, if they are not there yet. Raises what they raise: Malformed, Unavailable."""
        if not self.channels and self.opens is not None:
            self.opens(self)

    def routes_on(self, channel: str) -> tuple[Route, ...]:
        """The routes of one channel."""
        return tuple(one for one in self.routes if one.channel == channel)
