"""Port: who was told of what on which channel, and how each channel is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.delivery import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """How a channel is. since: Unix milliseconds, when it was first set up. attempts: tries in a row that found it
    down. next_at: before which there is no other one. error: why it is down; empty where it is not. sent, missed: how
    many messages were taken, and never will be. left_out: how often
    one could not even be planned, as too many were there."""

    since: int
    attempts: int = 0
    next_at: int = 0
    error: str = ""
    sent: int = 0
    missed: int = 0
    left_out: int = 0


class DeliveryRegister(Protocol):
    """Promises: what a call wrote is on stable storage when it returns, whole or not at all, and every process on the
    same register sees it at its next call. Bounded: past its limit nothing new is kept, and that is counted.

    Raises only Unavailable (`register.*`).
    """

    def open(self, channel: str, *, now: int) -> ChannelState:
        """How it is; one that was not there is there from now on."""
        ...

    def of(self, about: str) -> tuple[Delivery, ...]:
        """All that is known of one approval or notice."""
        ...

    def on(self, channel: str, *, since: int) -> tuple[Delivery, ...]:
        """Those on one channel that were planned or told at `since` or later, in the order of their planning."""
        ...

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        """Keep these, each in place of the one of its key, in one write."""
        ...

    def forget(self, *, before: int) -> int:
        """Forget those that were planned and told before; returns how many."""
        ...

    def claim(self, channel: str, *, now: int, until: int) -> bool:
        """Take a channel for sending, unless another process has it; `until` that holds at most. A claim that would
        hold longer than that was made by a clock that was set back since, and does not count."""
        ...

    def release(
        self, channel: str, *, attempts: int, next_at: int, error: str, sent: int = 0, missed: int = 0
    ) -> None:
        """Give it back, and say how it is. sent, missed: how many there were of each since it was taken."""
        ...
