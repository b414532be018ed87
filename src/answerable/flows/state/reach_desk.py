"""State of notifications to people: the channels, the routes, and the notices waiting to be stored."""

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
"""Notices waiting in memory to be stored. More are counted as lost and not sent; the ledger has the facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachLimits:
    """`digest`: how many notices one receiver gets one by one. `after_end_ms`: how long the result of an approval is
    retried. `kept_ms`: how long deliveries are stored. `at_once_max`: concurrent tries on one channel.
    `try_seconds_max`: time limit of one try."""

    digest: DigestLimits = field(default_factory=DigestLimits)
    after_end_ms: int = 3_600_000
    kept_ms: int = 30 * 86_400_000
    at_once_max: int = 4
    try_seconds_max: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSide:
    """Web push. `key`: this server's public key, base64url. `hosts`: push services that a device may name."""

    register: PushRegister
    key: str
    hosts: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class NotificationState:
    """Implements ports.approval_channel.ApprovalChannel: stores what is new and wakes the task that sends it.

    `addresses`: by channel, how a person is reached there; empty if they are not. `name_answerers`: channels that name
    who answered. `notices`: not stored yet; the holder of `putting_down` stores them. `lost`: notices dropped because
    the queue was full. `opens`: sets the channels. `push`: for people's devices; None if push is not used.
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
        """As the port says. The approval itself is in its register, with whose turn it is."""
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
        """Wake the task that sends notifications."""
        news, self.news = self.news, anyio.Event()
        news.set()

    def open_channels(self) -> None:
        """Open the channels if they are not open yet. Raises what they raise: Malformed, Unavailable."""
        if not self.channels and self.opens is not None:
            self.opens(self)

    def routes_on(self, channel: str) -> tuple[Route, ...]:
        """The routes of one channel."""
        return tuple(one for one in self.routes if one.channel == channel)
