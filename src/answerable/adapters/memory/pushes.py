"""Devices that push messages go to, for as long as the process lives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.errors import Refused
from answerable.ports.push_register import DEVICES_OF_ONE_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.push_device import PushDevice


class MemoryPushRegister:
    """Implements ports.push_register.PushRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, PushDevice] = {}

    def add(self, device: PushDevice) -> None:
        """As the port says."""
        with self._lock:
            others = [one for one in self._kept.values() if one.person == device.person]
            if len([one for one in others if one.id != device.id]) >= DEVICES_OF_ONE_MAX:
                raise Refused(
                    f"you have {DEVICES_OF_ONE_MAX} devices that are told: remove one first",
                    code="push.full",
                )
            self._kept.pop(device.id, None)
            self._kept[device.id] = device

    def find(self, device: str) -> PushDevice | None:
        """As the port says."""
        with self._lock:
            return self._kept.get(device)

    def of(self, person: str) -> Sequence[PushDevice]:
        """As the port says."""
        with self._lock:
            return tuple(one for one in self._kept.values() if one.person == person)

    def remove(self, device: str, *, person: str = "") -> bool:
        """As the port says."""
        with self._lock:
            found = self._kept.get(device)
            if found is None or (person and found.person != person):
                return False
            del self._kept[device]
            return True
