"""Port: the devices of people that receive push messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.push_device import PushDevice

DEVICES_OF_ONE_MAX = 10


class PushRegister(Protocol):
    """Promises: a write is on stable storage when the call returns, and every process on the same register sees it at
    its next call. An address belongs to one person: the last to add it. At most DEVICES_OF_ONE_MAX devices of a person
    are stored.

    Raises only Unavailable (`register.*`) and, from `add`, Refused (`push.full`).
    """

    def add(self, device: PushDevice) -> None:
        """Store the device, replacing one with the same address."""
        ...

    def find(self, device: str) -> PushDevice | None:
        """Return the device of this id, or None."""
        ...

    def of(self, person: str) -> Sequence[PushDevice]:
        """Return a person's devices, oldest first."""
        ...

    def remove(self, device: str, *, person: str = "") -> bool:
        """Remove the device of this id if it belongs to `person`, or to anybody where `person` is empty. Return whether
        it was stored."""
        ...
