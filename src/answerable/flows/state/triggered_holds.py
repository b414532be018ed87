"""The register of holds with those in it that stop rules have tripped in this process and that are on their way there.

A rule trips between two actions, and a register writes to a disk: what was tripped holds here at once, and everywhere
when it has been placed.
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
"""Holds that wait to be placed, those that ran out meanwhile among them."""


class TriggeredHolds:
    """Implements ports.hold_register.HoldRegister over another one. tripped: by what they hold. changed: told what is
    held by a rule from now on, or is no more by that alone."""

    def __init__(self, register: HoldRegister, *, changed: Callable[[HoldTarget], None]) -> None:
        self._register = register
        self._changed = changed
        self._trips = 0
        self._ids: set[str] = set()
        self.tripped: dict[HoldTarget, Hold] = {}

    def trip(self, hold: Hold) -> bool:
        """In force in this process from here on, without I/O, in place of one on the same name that has run out. False
        where it has no room: nothing has changed."""
        if len(self._ids) >= TRIPPED_MAX:
            return False
        self.tripped[hold.what] = hold
        self._ids.add(hold.id)
        self._trips += 1
        self._changed(hold.what)
        return True

    def placed(self, hold: Hold) -> None:
        """The register has it."""
        self._ids.discard(hold.id)
        if self.tripped.get(hold.what) is hold:
            del self.tripped[hold.what]
            self._trips += 1
            self._changed(hold.what)

    def is_tripped(self, what: HoldTarget, at: UnixMillis) -> bool:
        """Whether a hold on this name that is not placed yet is in force; without I/O."""
        hold = self.tripped.get(what)
        return hold is not None and hold.is_in_force(at)

    def is_waiting(self, hold: str) -> bool:
        """Whether the hold of this id is not placed yet."""
        return hold in self._ids

    def epoch(self) -> int:
        """As the port says. Both numbers only ever grow, and so does their sum."""
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
        """As the port says; those that are on their way first."""
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
