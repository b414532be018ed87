"""Holds that stop rules tripped in this process, in front of the shared register until they are written there.

A rule trips between two actions, and writing the register takes disk I/O. So a tripped hold is in force in this process
at once, and in every process once it is placed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.containment.hold import first_in_force

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from answerable.core.containment.hold import Hold, HoldId, HoldTarget
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.ports.hold_register import HoldRegister

TRIPPED_MAX: Final = 10_000
"""Holds waiting to be placed, including those that expired meanwhile."""


class TriggeredHolds:
    """Implements ports.hold_register.HoldRegister over another register.

    `tripped`: by what they hold. `changed`: called with each target that a tripped hold now holds, or no longer holds.
    """

    def __init__(self, register: HoldRegister, *, changed: Callable[[HoldTarget], None]) -> None:
        self._register = register
        self._changed = changed
        self._trips = 0
        self._ids: set[str] = set()
        self.tripped: dict[HoldTarget, Hold] = {}

    def trip(self, hold: Hold) -> bool:
        """Put a hold into force in this process, without I/O, in place of an expired one on the same target.

        Returns False if there is no room; then nothing has changed.
        """
        if len(self._ids) >= TRIPPED_MAX:
            return False
        self.tripped[hold.what] = hold
        self._ids.add(hold.id)
        self._trips += 1
        self._changed(hold.what)
        return True

    def placed(self, hold: Hold) -> None:
        """Drop a tripped hold that the register now has."""
        self._ids.discard(hold.id)
        if self.tripped.get(hold.what) is hold:
            del self.tripped[hold.what]
            self._trips += 1
            self._changed(hold.what)

    def is_tripped(self, what: HoldTarget, at: UnixMillis) -> bool:
        """Whether a hold on this target that is not placed yet is in force. Does no I/O."""
        hold = self.tripped.get(what)
        return hold is not None and hold.is_in_force(at)

    def is_waiting(self, hold: str) -> bool:
        """Whether the hold of this id is not placed yet."""
        return hold in self._ids

    def epoch(self) -> int:
        """As the port says. Both numbers only grow, and so does their sum."""
        return self._register.epoch() + self._trips

    def standing(self, names: Collection[HoldTarget]) -> tuple[Hold, ...]:
        found = self._register.standing(names)
        tripped = self.tripped
        if not tripped:
            return found
        return (*found, *(tripped[one] for one in names if one in tripped))

    def find(self, names: Collection[HoldTarget], at: UnixMillis) -> Hold | None:
        if not self.tripped:
            return self._register.find(names, at)
        return first_in_force(self.standing(names), at)

    def get(self, hold: HoldId) -> Hold | None:
        found = self._register.get(hold)
        return found or next((one for one in self.tripped.values() if one.id == hold), None)

    def place(self, hold: Hold) -> Hold:
        return self._register.place(hold)

    def replace(self, hold: Hold, *, was: Hold) -> bool:
        return self._register.replace(hold, was=was)

    def put_back(self, holds: Collection[Hold]) -> int:
        return self._register.put_back(holds)

    def put_right(self, holds: Collection[Hold]) -> None:
        self._register.put_right(holds)

    def all(self) -> Iterable[Hold]:
        """As the port says; holds not placed yet come first."""
        waiting = [*self.tripped.values()]
        known = {one.id for one in waiting}
        return (*waiting, *(one for one in self._register.all() if one.id not in known))

    def unrecorded(self) -> Sequence[Hold]:
        return self._register.unrecorded()

    def is_recorded(self, hold: HoldId) -> bool:
        return self._register.is_recorded(hold)

    def recorded(self, holds: Iterable[HoldId]) -> None:
        self._register.recorded(holds)

    def unreported(self) -> Sequence[Hold]:
        return self._register.unreported()

    def reported(self, holds: Iterable[HoldId]) -> None:
        self._register.reported(holds)
