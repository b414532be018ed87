"""Groups of the waiting approvals, cached from one call to the next."""

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
    """The approvals that waited at the last call, in groups. Bounded by what waits: answered approvals are removed."""

    # None if the groups are out of date.
    _waiting: tuple[Approval, ...] | None = None
    _gathered: Gathered = field(default_factory=Gathered)

    def of(self, waiting: tuple[Approval, ...]) -> Grouped:
        """Return the groups of these approvals; regroup only if they differ from the last call."""
        if waiting != self._waiting:
            try:
                self._follow(waiting)
            except BaseException:
                # Half-updated groups are useless: begin anew at the next call.
                self._gathered, self._waiting = Gathered(), None
                raise
            self._waiting = waiting
        return self._gathered.grouped()

    def take_in(self, waiting: tuple[Approval, ...], *, most: int) -> bool:
        """Read up to `most` of the new approvals, so that the next `of` need not. Returns whether there are more.

        Removes approvals that no longer wait, because `of` may not be called for weeks.
        """
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
                # The approval changed, for example by one of several answers.
                gathered.remove(name)
                gathered.add(one, features_of(one))
