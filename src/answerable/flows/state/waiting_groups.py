"""Groups of the approvals that wait, kept in this process from one look to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from answerable.core.approval.approval_grouping import Gathered
from answerable.core.approval.features import features_of

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.approval_grouping import Grouped


@dataclass(slots=True)
class WaitingGroups:
    """Those that waited at the last look, in groups. It is bounded by what waits: what waits no more is let go."""

    # None where the groups are of others.
    _waiting: tuple[Approval, ...] | None = None
    _gathered: Gathered = field(default_factory=Gathered)

    def of(self, waiting: tuple[Approval, ...]) -> Grouped:
        """Their groups; made anew only where others wait than at the last look."""
        if waiting != self._waiting:
            try:
                self._follow(waiting)
            except BaseException:
                # Half of it is worth nothing: the next look begins anew.
                self._gathered, self._waiting = Gathered(), None
                raise
            self._waiting = waiting
        return self._gathered.grouped()

    def take_in(self, waiting: tuple[Approval, ...], *, most: int) -> bool:
        """Read so many of those that were not there at the last look, which then need not; whether there are more. What
        waits no more is let go: nobody may look for weeks."""
        if waiting == self._waiting:
            return False
        gathered, here = self._gathered, {one.id for one in waiting}
        gone = gathered.kept.keys() - here
        coming = [one for one in waiting if one.id not in gathered.kept]
        if coming or gone:
            self._waiting = None
        for name in gone:
            gathered.remove(name)
        for one in coming[:most]:
            gathered.add(one, features_of(one))
        return len(coming) > most

    def _follow(self, waiting: tuple[Approval, ...]) -> None:
        gathered = self._gathered
        here = {one.id: one for one in waiting}
        for name in [*(gathered.kept.keys() - here.keys())]:
            gathered.remove(name)
        for name, one in here.items():
            known = gathered.kept.get(name)
            if known is None:
                gathered.add(one, features_of(one))
            elif known[0] is not one and known[0] != one:
                # Somebody answered, for one, and others are asked yet.
                gathered.remove(name)
                gathered.add(one, features_of(one))
