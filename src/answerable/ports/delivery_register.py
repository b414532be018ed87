"""Port: which messages were delivered on which channel, and the state of each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.delivery import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """State of a channel. since: Unix milliseconds of its first set-up. attempts: consecutive failed attempts. next_at:
    earliest time of the next attempt, Unix milliseconds. error: why it is down; empty where it is up. sent, missed:
    numbers of messages that were accepted, and that will never be. left_out: number of messages that were not planned
    because too many were stored."""

    since: int
    attempts: int = 0
    next_at: int = 0
    error: str = ""
    sent: int = 0
    missed: int = 0
    left_out: int = 0


class DeliveryRegister(Protocol):
    """Promises: a write is on stable storage when the call returns, whole or not at all, and every process on the same
    register sees it at its next call. Bounded: past the limit, new deliveries are counted but not stored.

    Raises only Unavailable (`register.*`).
    """

    def open(self, channel: str, *, now: int) -> ChannelState:
        """Return the channel's state; create a channel that does not exist yet."""
        ...

    def of(self, about: str) -> tuple[Delivery, ...]:
        """Return all deliveries of one approval or notice."""
        ...

    def on(self, channel: str, *, since: int) -> tuple[Delivery, ...]:
        """Return the deliveries on one channel planned or sent at `since` or later, in the order of planning."""
        ...

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        """Store these deliveries, replacing those with the same keys, in one write."""
        ...

    def forget(self, *, before: int) -> int:
        """Remove the deliveries that were planned and sent before this time; return how many."""
        ...

    def claim(self, channel: str, *, now: int, until: int) -> bool:
        """Lock a channel for sending, unless another process holds it; the lock expires at `until`. An existing lock
        with a later expiry was made before the clock was set back, and is ignored."""
        ...

    def release(
        self, channel: str, *, attempts: int, next_at: int, error: str, sent: int = 0, missed: int = 0
    ) -> None:
        """Release the channel and store its state. sent, missed: numbers of messages of each kind since the claim."""
        ...
