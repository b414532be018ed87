"""Budgets: how much may be spent under a mandate, of what, and what one action takes of it.

What can be budgeted is listed in `core/registry/documents/budget_name.py`.

Laws: what an action may take at most is reserved before it, in all accounts or in none; what is reserved in an account
never exceeds its limit by one unit; an amount that is not known is not leave to spend; nothing wraps around.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from answerable.core.registry.documents.budget_name import (
    AMOUNT_MAX,
    CALLS,
    MONEY,
    WALL_MS,
    checked_budget,
    is_amount,
)
from answerable.errors import shown
from answerable.errors.codes.mandate import BUDGET_AMOUNT, BUDGET_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Amounts: TypeAlias = Mapping[str, int]
"""By name of the budget."""

BUDGETS_MAX: Final = 16
"""Of one account."""
ACCOUNTS_MAX: Final = 16
"""That one action is counted in: its mandate, and the hops it was handed on by."""
NOTHING: Final[Amounts] = MappingProxyType({})
ONE_CALL: Final[Amounts] = MappingProxyType({CALLS: 1})
THE_MANDATE: Final = "the mandate"


class Account(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where actions are counted: a mandate by its id, or a hop by its token's.

    limits: by name; what is absent has none. whose: for people, who is limited by it."""

    id: str
    limits: Amounts
    whose: str = THE_MANDATE


class Reserved(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one action took, the same from each account. accounts: ids, the mandate's first."""

    accounts: tuple[str, ...]
    amounts: Amounts


class Lack(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What stood in the way of a reservation: the account and whose it is, the budget, and what is left of it."""

    account: str
    budget: str
    limit: int
    left: int
    wanted: int
    whose: str = THE_MANDATE

    def text(self) -> str:
        """As a person would say it."""
        budget = "the mandate's budget" if self.whose == THE_MANDATE else f"{self.whose}: the budget"
        if self.budget == CALLS:
            return f"{budget} of {self.limit} calls is spent"
        what = unit_of(self.budget)
        takes = f"this action may take {self.wanted}"
        return f"{budget} of {self.limit} {what} has {self.left} left, and {takes}"


def checked_limits(limits: Iterable[tuple[str, object]]) -> tuple[tuple[str, int], ...]:
    """Limits beside `calls`, each named once, sorted by name. Raises Malformed (`budget.name`, `budget.amount`)."""
    found: dict[str, int] = {}
    for name, limit in limits:
        if checked_budget(name) == CALLS:
            raise BUDGET_NAME("the number of calls is limited by `calls_max`, not here")
        if name in found:
            raise BUDGET_NAME(f"budget {shown(name, 40)} is set twice")
        if not isinstance(limit, int) or not is_amount(limit):
            raise BUDGET_AMOUNT(f"budget {shown(name, 40)} is a whole number from 0 to 2^53 - 1")
        found[name] = limit
    if len(found) > BUDGETS_MAX:
        raise BUDGET_NAME(f"expected at most {BUDGETS_MAX} budgets, got {len(found)}")
    return tuple(sorted(found.items()))


def unit_of(budget: str) -> str:
    """What a budget counts, for people."""
    if budget.startswith(MONEY):
        return f"minor units of {budget.removeprefix(MONEY)}"
    return {WALL_MS: "milliseconds of upstream time"}.get(budget, budget)


class Spending:
    """What is used of all accounts. Not safe for several threads by itself; nothing here waits.

    used: by account, then by budget. An account that was never counted in is at 0.
    """

    __slots__ = ("_used",)

    def __init__(self) -> None:
        self._used: dict[str, dict[str, int]] = {}

    def used(self, account: str) -> Amounts:
        """A copy of what is used there."""
        return dict(self._used.get(account, NOTHING))

    def all(self) -> Mapping[str, Amounts]:
        """A copy of all of it, by account."""
        return {account: dict(amounts) for account, amounts in self._used.items()}

    def calls(self, account: str) -> int:
        """What is used of `calls`, by itself as it is asked at every action."""
        used = self._used.get(account)
        return used.get(CALLS, 0) if used is not None else 0

    def lack(self, accounts: Sequence[Account], amounts: Amounts) -> Lack | None:
        """The first thing that is not there for this; None when all of it is."""
        for account in accounts:
            used = self._used.get(account.id, NOTHING)
            for name, amount in amounts.items():
                limit = account.limits.get(name, AMOUNT_MAX)
                left = limit - used.get(name, 0)
                if amount and amount > left:
                    return Lack(
                        account=account.id,
                        budget=name,
                        limit=limit,
                        left=max(0, left),
                        wanted=amount,
                        whose=account.whose,
                    )
        return None

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> Lack | None:
        """Take these amounts from every account, or from none and say what is lacking."""
        if amounts is ONE_CALL and len(accounts) == 1:
            # Most actions are this, and what follows would come to the same.
            account = accounts[0]
            used = self._used.get(account.id)
            calls = used.get(CALLS, 0) if used is not None else 0
            if used is not None and calls < account.limits.get(CALLS, AMOUNT_MAX):
                used[CALLS] = calls + 1
                return None
        lack = self.lack(accounts, amounts)
        if lack is None:
            for account in accounts:
                self._add(account.id, amounts)
        return lack

    def take(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """Count what was spent already, whatever the limits say; an amount stops at 2^53 - 1."""
        for account in accounts:
            self._add(account, amounts)

    def give_back(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """Count it as not used; never below nothing."""
        for account in accounts:
            used = self._used.get(account)
            if used is not None:
                for name, amount in amounts.items():
                    used[name] = max(0, used.get(name, 0) - amount)

    def restore(self, account: str, amounts: Amounts) -> None:
        """Set what is used, as it was found at a start; never lowers it."""
        used = self._used.setdefault(account, {})
        for name, amount in amounts.items():
            used[name] = max(amount, used.get(name, 0))

    def _add(self, account: str, amounts: Amounts) -> None:
        used = self._used.get(account)
        if used is None:
            used = self._used[account] = {}
        for name, amount in amounts.items():
            used[name] = min(AMOUNT_MAX, used.get(name, 0) + amount)
