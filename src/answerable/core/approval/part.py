"""Approvals that may differ only in the leaves that are compared, with the number of occurrences of each value.

Laws: the result is as if the current approvals had been added at once, whatever was added and removed before; adding or
removing one costs its own leaves, and reading all again costs the number of different values.
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
"""An approval, and the features by which it is compared."""

_FEW: Final = 64
"""Up to this many are inserted one by one; more are sorted with all the others."""


class Part:
    """Approvals are added and removed one by one; one that is present is never added again."""

    __slots__ = ("_came", "_columns", "_kept", "_order", "_somebody_left", "_tallies")

    def __init__(self) -> None:
        self._kept: dict[ApprovalId, Kept] = {}
        # Computed on first use: very small parts are never compared.
        self._tallies: dict[str, Tally] | None = None
        self._columns: dict[str, Column] = {}
        self._order: list[Kept] = []
        self._came: list[Kept] = []
        self._somebody_left = False

    @property
    def size(self) -> int:
        """Number of approvals."""
        return len(self._kept)

    @property
    def in_order(self) -> list[Kept]:
        """The approvals, the soonest to expire first."""
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
        """Number of occurrences of each value, by place."""
        if self._tallies is None:
            self._tallies = {}
            for _, features in self._kept.values():
                _count(self._tallies, features)
        return self._tallies

    @property
    def places(self) -> list[str]:
        """All places where an approval has a value."""
        return sorted(self.tallies)

    def add(self, approval: Approval, features: Features) -> None:
        """Add an approval."""
        kept = self._kept[approval.id] = approval, features
        self._came.append(kept)
        self._columns.clear()
        if self._tallies is not None:
            _count(self._tallies, features)

    def remove(self, name: ApprovalId) -> None:
        """Remove an approval."""
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
        """Return the comparison of one place over all approvals."""
        found = self._columns.get(where)
        if found is None:
            found = self._columns[where] = compared(self.tallies[where], self.size)
        return found

    def odd(self) -> dict[ApprovalId, list[str]]:
        """Return the outliers, and in what each differs, in words."""
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
        """Return the values of a place without those of the approvals `gone`."""
        counts = self.tallies[where].over(self.size)
        less: dict[Value, int] = {}
        for name in gone:
            value = self._kept[name][1].leaves.get(where, Nothing.ABSENT)
            less[value] = less.get(value, 0) + 1
        if not less:
            return counts.keys()
        return [value for value, count in counts.items() if count > less.get(value, 0)]

    def any_goes(self, where: str, values: Iterable[Value]) -> bool:
        """Whether one of these values of a place has the form of a destination."""
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
    """Return the sort key of an approval."""
    return approval.expires_at, approval.id
