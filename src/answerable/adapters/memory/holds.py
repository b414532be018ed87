"""Holds that live as long as the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.containment.hold import among, first_in_force
from answerable.ports.hold_register import UNRECORDED_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.adapters.memory.revocations import MemoryRevocationRegister
    from answerable.core.containment.hold import Hold, Holdable, HoldId
    from answerable.core.identity.principal import UnixMillis


class MemoryHoldRegister:
    """Implements ports.hold_register.HoldRegister."""

    def __init__(self, revocations: MemoryRevocationRegister) -> None:
        self._revocations = revocations
        self._lock = threading.Lock()
        self._by_id: dict[HoldId, Hold] = {}
        self._by_name: dict[Holdable, tuple[Hold, ...]] = {}
        self._unrecorded: dict[HoldId, None] = {}
        self._unreported: dict[HoldId, None] = {}

    def epoch(self) -> int:
        """As the port says."""
        return self._revocations.epoch()

    def standing(self, names: Collection[Holdable]) -> tuple[Hold, ...]:
        """As the port says."""
        known = self._by_name
        if not known:
            return ()
        return tuple(known[one][0] for one in names if one in known)

    def find(self, names: Collection[Holdable], at: UnixMillis) -> Hold | None:
        """As the port says."""
        return first_in_force(self.standing(names), at)

    def get(self, hold: HoldId) -> Hold | None:
        """As the port says."""
        return self._by_id.get(hold)

    def place(self, hold: Hold) -> Hold:
        """As the port says."""
        with self._lock:
            for one in self._by_name.get(hold.what, ()):
                if one.stands_for(hold):
                    return one
            self._unrecorded[hold.id] = None
            self._keep((hold,))
        return hold

    def replace(self, hold: Hold, *, was: Hold) -> bool:
        """As the port says."""
        with self._lock:
            if self._by_id.get(was.id) != was:
                return False
            self._keep((hold,))
        return True

    def put_back(self, holds: Collection[Hold]) -> int:
        """As the port says."""
        with self._lock:
            missing = [one for one in holds if one.id not in self._by_id]
            if missing:
                self._unreported.update(dict.fromkeys(one.id for one in missing))
                self._keep(missing)
        return len(missing)

    def put_right(self, holds: Collection[Hold]) -> None:
        """As the port says."""
        with self._lock:
            for one in holds:
                self._unrecorded.pop(one.id, None)
                self._unreported[one.id] = None
            self._keep(holds, instead=True)

    def all(self) -> Iterable[Hold]:
        """As the port says."""
        return tuple(reversed(self._by_id.values()))

    def unrecorded(self) -> Sequence[Hold]:
        """As the port says."""
        with self._lock:
            return tuple(self._by_id[one] for one in self._unrecorded)[:UNRECORDED_MAX]

    def is_recorded(self, hold: HoldId) -> bool:
        """As the port says."""
        with self._lock:
            return hold in self._by_id and hold not in self._unrecorded

    def recorded(self, holds: Iterable[HoldId]) -> None:
        """As the port says."""
        with self._lock:
            for one in holds:
                if one in self._unrecorded:
                    del self._unrecorded[one]
                    self._unreported[one] = None

    def unreported(self) -> Sequence[Hold]:
        """As the port says."""
        with self._lock:
            return tuple(self._by_id[one] for one in self._by_id if one in self._unreported)[:UNRECORDED_MAX]

    def reported(self, holds: Iterable[HoldId]) -> None:
        """As the port says."""
        with self._lock:
            for one in holds:
                self._unreported.pop(one, None)

    def _keep(self, holds: Collection[Hold], *, instead: bool = False) -> None:
        by_name = dict(self._by_name)
        gone = {one.id for one in holds} if instead else set()
        for what in [self._by_id[one].what for one in gone if one in self._by_id]:
            by_name[what] = tuple(one for one in by_name.get(what, ()) if one.id not in gone)
            if not by_name[what]:
                del by_name[what]
        for one in holds:
            by_name[one.what] = among(by_name.get(one.what, ()), one)
            if not by_name[one.what]:
                del by_name[one.what]
            self._by_id[one.id] = one
        # Swapped whole, and before the number: who sees the number sees what it is about.
        self._by_name = by_name
        self._revocations.tell()
