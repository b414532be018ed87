"""Count the used part of budgets from the log, in the order in which entries get their indexes.

An intent takes what it reserved from each of its accounts; an outcome returns what was not used, and takes what was
used beyond the reservation. An intent written before budgets other than calls existed states none, and took one call.

Laws: a count covers all entries below one index and none above; it is returned only once the log has all of those on
stable storage, so that stored counts are never ahead of the log.
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
"""After this many entries counts are stored even if nothing was spent, so that no start reads those entries again."""


@dataclass(slots=True, kw_only=True)
class BudgetCounts:
    """The used amounts of every account. entries: all intents and outcomes below this index are counted, none above."""

    entries: int = 0
    _spending: Spending = field(default_factory=Spending)
    _changed: set[str] = field(default_factory=set)
    _waiting: tuple[dict[str, Amounts], int] | None = None
    _kept_to: int = 0

    def restored(self, kept: Mapping[str, Amounts]) -> None:
        """Load stored counts at a start, before the entries after them are counted."""
        for account, amounts in kept.items():
            self._spending.restore(account, amounts)

    def used(self) -> Mapping[str, Amounts]:
        """Return the used amounts, by account."""
        return self._spending.all()

    def took(self, reserved: Reserved, index: int) -> None:
        """Count an intent that got this index in the log. Call in the order of the indexes."""
        accounts = reserved.accounts
        self._spending.take(accounts, reserved.amounts)
        self._changed.update(accounts)
        self.entries = index + 1

    def ended(self, reserved: Reserved, returned: Amounts, overrun: Amounts, index: int) -> None:
        """Count the outcome, at this index, of an intent that made this reservation. Call in index order, as `took`."""
        if returned or overrun:
            self._spending.give_back(reserved.accounts, returned)
            self._spending.take(reserved.accounts, overrun)
            self._changed.update(reserved.accounts)
        self.entries = index + 1

    def due(self, durable: int) -> tuple[dict[str, Amounts], int] | None:
        """Return the counts that may be stored now that the log has `durable` entries on stable storage, and the index
        up to which they go; None when nothing is due."""
        # Entries are counted as they get their indexes, so every durable entry is already counted.
        self.entries = max(self.entries, durable)
        is_far = self.entries - self._kept_to >= UNKEPT_ENTRIES_MAX
        if self._waiting is None and (self._changed or is_far):
            self._waiting = {one: self._spending.used(one) for one in self._changed}, self.entries
            self._changed = set()
        return self._waiting if self._waiting is not None and self._waiting[1] <= durable else None

    def kept(self) -> None:
        """Note that the counts from `due` are on stable storage."""
        if self._waiting is not None:
            self._kept_to = self._waiting[1]
        self._waiting = None


def reserved_by(leaf: Mapping[str, JSONValue]) -> Reserved:
    """Return the reservation that the leaf of an intent states."""
    more = leaf.get("accounts")
    accounts = tuple(str(one) for one in more) if isinstance(more, list) else ()
    return Reserved(
        accounts=(str(leaf.get("mandate")), *accounts), amounts=amounts_in(leaf, "reserved") or ONE_CALL
    )


def amounts_in(leaf: Mapping[str, JSONValue], name: str) -> Amounts:
    """Return the amounts in this member of a leaf; empty where it has none."""
    value = leaf.get(name)
    return (
        {key: amount for key, amount in value.items() if type(amount) is int}
        if isinstance(value, dict)
        else {}
    )
