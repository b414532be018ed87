"""Port: devices of people that push messages go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.push_device import PushDevice

DEVICES_OF_ONE_MAX = 10


class PushRegister(Protocol):
    """Promises: what a call wrote is on stable storage when it returns, and every process on the same register sees it
    at its next call. An address is one person's: whoever adds it last has it. Of one person at most DEVICES_OF_ONE_MAX
    are kept.

    Raises only Unavailable (`register.*`) and, from `add`, Refused (`push.full`).
    """

    def add(self, device: PushDevice) -> None:
        """Keep it, in place of the one with its address."""
        ...

    def find(self, device: str) -> PushDevice | None:
        """The one of this id, or None."""
        ...

    def of(self, person: str) -> Sequence[PushDevice]:
        """Those of a person, oldest first."""
        ...

    def remove(self, device: str, *, person: str = "") -> bool:
        """Forget the one of this id, if it is this person's, or whoever's where nobody is named; whether it was
        there."""
        ...
