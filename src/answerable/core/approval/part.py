"""Approvals that may differ in nothing but what is compared leaf by leaf, with how often each value is there.

Laws: whatever came and went before, it is as if those that are there had come at once; one that comes or goes costs its
own leaves, and reading all of them again what there is of different values.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Final, TypeAlias

from answerable.core.approval.comparing import Tally, compared
from answerable.core.approval.features import Nothing, label_of
from answerable.core.approval.visible import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.approval.comparing import Column
    from answerable.core.approval.features import Features, Value
    from answerable.core.identity.names.principal import UnixMillis

Kept: TypeAlias = "tuple[Approval, Features]"
"""An approval, and what it is compared by."""

_FEW: Final = 64
"""So many are put in their places one by one; more are sorted with all the others."""


class Part:
    """In and out one by one; nobody who is there already comes in again."""

    __slots__ = ("_came", "_columns", "_kept", "_order", "_somebody_left", "_tallies")

    def __init__(self) -> None:
        self._kept: dict[ApprovalId, Kept] = {}
        # None until somebody asks: of very few nothing is compared.
        self._tallies: dict[str, Tally] | None = None
        self._columns: dict[str, Column] = {}
        self._order: list[Kept] = []
        self._came: list[Kept] = []
        self._somebody_left = False

    @property
    def size(self) -> int:
        """How many."""
        return len(self._kept)

    @property
    def in_order(self) -> list[Kept]:
        """The soonest to end first."""
        if self._somebody_left:
            self._order = [one for one in self._order if self._kept.get(one[0].id) is one]
            self._came = [one for one in self._came if self._kept.get(one[0].id) is one]
            self._somebody_left = False
        if len(self._came) > _FEW:
            self._order = sorted((*self._order, *self._came), key=_when)
        else:
            for one in self._came:
                insort(self._order, one, key=_when)
        self._came = []
        return self._order

    @property
    def tallies(self) -> dict[str, Tally]:
        """What is where any of them has a value."""
        if self._tallies is None:
            self._tallies = {}
            for _, features in self._kept.values():
                _count(self._tallies, features)
        return self._tallies

    @property
    def places(self) -> list[str]:
        """Where any of them has a value."""
        return sorted(self.tallies)

    def add(self, approval: Approval, features: Features) -> None:
        """One more."""
        kept = self._kept[approval.id] = approval, features
        self._came.append(kept)
        self._columns.clear()
        if self._tallies is not None:
            _count(self._tallies, features)

    def remove(self, name: ApprovalId) -> None:
        """One less."""
        _, features = self._kept.pop(name)
        self._somebody_left = True
        self._columns.clear()
        if self._tallies is None:
            return
        for where, value in features.leaves.items():
            tally = self._tallies[where]
            tally.remove(value)
            if not tally.counts:
                del self._tallies[where]

    def column(self, where: str) -> Column:
        """How a place reads over all of them."""
        found = self._columns.get(where)
        if found is None:
            found = self._columns[where] = compared(self.tallies[where], self.size)
        return found

    def odd(self) -> dict[ApprovalId, list[str]]:
        """Those that differ, and in what, in words."""
        odd: dict[ApprovalId, list[str]] = {}
        for where in self.places:
            why = self.column(where).odd
            if not why:
                continue
            label = label_of(where)
            for name, (_, features) in self._kept.items():
                value = features.leaves.get(where, Nothing.ABSENT)
                if value in why:
                    odd.setdefault(name, []).append(f"{label}: {why[value]}")
        for name, (_, features) in self._kept.items():
            if features.noted:
                odd.setdefault(name, []).extend(visible(one) for one in features.noted)
        return odd

    def left(self, where: str, gone: Iterable[ApprovalId]) -> Collection[Value]:
        """The values of a place without these of them."""
        counts = self.tallies[where].over(self.size)
        less: dict[Value, int] = {}
        for name in gone:
            value = self._kept[name][1].leaves.get(where, Nothing.ABSENT)
            less[value] = less.get(value, 0) + 1
        if not less:
            return counts.keys()
        return [value for value, count in counts.items() if count > less.get(value, 0)]

    def any_goes(self, where: str, values: Iterable[Value]) -> bool:
        """Whether one of these values of a place has the form of something that says where something goes."""
        form = self.tallies[where].form
        return any(form(one).goes for one in values if isinstance(one, str))


def _count(tallies: dict[str, Tally], features: Features) -> None:
    for where, value in features.leaves.items():
        tally = tallies.get(where)
        if tally is None:
            tally = tallies[where] = Tally()
        tally.add(value)


def _when(kept: Kept) -> tuple[UnixMillis, ApprovalId]:
    return when(kept[0])


def when(approval: Approval) -> tuple[UnixMillis, ApprovalId]:
    """What they are in order by."""
    return approval.expires_at, approval.id
