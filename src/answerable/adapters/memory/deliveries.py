"""Who was told of what, for as long as the process lives."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from answerable.ports.delivery_register import ChannelState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.delivery import Delivery

DELIVERIES_MAX: Final = 100_000


class MemoryDeliveryRegister:
    """Implements ports.delivery_register.DeliveryRegister."""

    def __init__(self, *, deliveries_max: int = DELIVERIES_MAX) -> None:
        self._lock = threading.Lock()
        self._max = deliveries_max
        self._kept: dict[tuple[str, str, str], Delivery] = {}
        self._channels: dict[str, ChannelState] = {}
        self._busy: dict[str, int] = {}

    def open(self, channel: str, *, now: int) -> ChannelState:
        """As the port says."""
        with self._lock:
            return self._channels.setdefault(channel, ChannelState(since=now))

    def of(self, about: str) -> tuple[Delivery, ...]:
        """As the port says."""
        with self._lock:
            return tuple(one for one in self._kept.values() if one.about == about)

    def on(self, channel: str, *, since: int) -> tuple[Delivery, ...]:
        """As the port says."""
        with self._lock:
            return tuple(
                one
                for one in self._kept.values()
                if one.channel == channel and max(one.made_at, one.at) >= since
            )

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        """As the port says."""
        with self._lock:
            for one in deliveries:
                if one.key in self._kept or len(self._kept) < self._max:
                    self._kept[one.key] = one
                elif (state := self._channels.get(one.channel)) is not None:
                    self._channels[one.channel] = replace(state, left_out=state.left_out + 1)

    def forget(self, *, before: int) -> int:
        """As the port says."""
        with self._lock:
            old = [key for key, one in self._kept.items() if max(one.made_at, one.at) < before]
            for key in old:
                del self._kept[key]
            return len(old)

    def claim(self, channel: str, *, now: int, until: int) -> bool:
        """As the port says."""
        with self._lock:
            if channel not in self._channels or now < self._busy.get(channel, 0) <= until:
                return False
            self._busy[channel] = until
            return True

    def release(
        self, channel: str, *, attempts: int, next_at: int, error: str, sent: int = 0, missed: int = 0
    ) -> None:
        """As the port says."""
        with self._lock:
            if (state := self._channels.get(channel)) is not None:
                self._busy.pop(channel, None)
                self._channels[channel] = replace(
                    state,
                    attempts=attempts,
                    next_at=next_at,
                    error=error,
                    sent=state.sent + sent,
                    missed=state.missed + missed,
                )
