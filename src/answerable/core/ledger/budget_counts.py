"""What the log says is used of budgets, counted in the order in which entries get their places.

An intent takes what it reserved from each of its accounts; an outcome gives back what it returned, and takes what was
used beyond the reservation. An intent of before there were other budgets says nothing, and took one call.

Laws: a count covers all entries below one index and none above; it is given out only once the log has all of those on
stable storage, so what is kept of it is never ahead of the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.mandate.budget import ONE_CALL, Reserved, Spending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.budget import Amounts

UNKEPT_ENTRIES_MAX: Final = 65_536
"""After so many entries a count is kept although nothing was spent in them, so that no start reads them again."""


@dataclass(slots=True, kw_only=True)
class BudgetCounts:
    """entries: all intents and outcomes below this index are counted, none above."""

    entries: int = 0
    _spending: Spending = field(default_factory=Spending)
    _changed: set[str] = field(default_factory=set)
    _waiting: tuple[dict[str, Amounts], int] | None = None
    _kept_to: int = 0

    def restored(self, kept: Mapping[str, Amounts]) -> None:
        """At a start: what was kept, before what the log says after that."""
        for account, amounts in kept.items():
            self._spending.restore(account, amounts)

    def used(self) -> Mapping[str, Amounts]:
        """What is used, by account."""
        return self._spending.all()

    def took(self, reserved: Reserved, index: int) -> None:
        """An intent has this place in the log. Called in the order of the places."""
        self._spending.take(reserved.accounts, reserved.amounts)
        self._changed.update(reserved.accounts)
        self.entries = index + 1

    def ended(self, reserved: Reserved, returned: Amounts, overrun: Amounts, index: int) -> None:
        """The outcome of an intent that reserved so much has this place in the log. As `took`."""
        if returned or overrun:
            self._spending.give_back(reserved.accounts, returned)
            self._spending.take(reserved.accounts, overrun)
            self._changed.update(reserved.accounts)
        self.entries = index + 1

    def due(self, durable: int) -> tuple[dict[str, Amounts], int] | None:
        """What may be kept now that the log has `durable` entries on stable storage, and up to where."""
        # Entries are counted as they get their places: of what is durable none is left to count.
        self.entries = max(self.entries, durable)
        is_far = self.entries - self._kept_to >= UNKEPT_ENTRIES_MAX
        if self._waiting is None and (self._changed or is_far):
            self._waiting = {one: self._spending.used(one) for one in self._changed}, self.entries
            self._changed = set()
        return self._waiting if self._waiting is not None and self._waiting[1] <= durable else None

    def kept(self) -> None:
        """What was due is on stable storage."""
        if self._waiting is not None:
            self._kept_to = self._waiting[1]
        self._waiting = None


def reserved_by(leaf: Mapping[str, JSONValue]) -> Reserved:
    """What the leaf of an intent says was reserved."""
    more = leaf.get("accounts")
    accounts = tuple(str(one) for one in more) if isinstance(more, list) else ()
    return Reserved(
        accounts=(str(leaf.get("mandate")), *accounts), amounts=amounts_in(leaf, "reserved") or ONE_CALL
    )


def amounts_in(leaf: Mapping[str, JSONValue], name: str) -> Amounts:
    """Amounts that a leaf has as this member; none where it has none."""
    value = leaf.get(name)
    return (
        {key: amount for key, amount in value.items() if type(amount) is int}
        if isinstance(value, dict)
        else {}
    )
