"""Budgets of a mandate: reserve what an action may take at most, and count what has been used.

The list of possible budgets is in `core/registry/documents/budget_name.py`.

Laws: the most that an action may take is reserved before the action, in all accounts or in none; reservations in an
account never exceed its limit; an unknown amount refuses; no counter overflows.
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
"""Amounts by name of the budget."""

BUDGETS_MAX: Final = 16
"""Most budgets of one account."""
ACCOUNTS_MAX: Final = 16
"""Most accounts that one action is counted in: that of its mandate, and those of the hops in its chain."""
NOTHING: Final[Amounts] = MappingProxyType({})
ONE_CALL: Final[Amounts] = MappingProxyType({CALLS: 1})
THE_MANDATE: Final = "the mandate"


class Account(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An account in which actions are counted, with its limits.

    id: the mandate's id, or one made from the hash of a hop's token. limits: by name of the budget; an absent budget
    has no limit. whose: the human-readable owner of the limit.
    """

    id: str
    limits: Amounts
    whose: str = THE_MANDATE


class Reserved(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one action reserved: the same amounts from each account. accounts: account ids, the mandate's first."""

    accounts: tuple[str, ...]
    amounts: Amounts


class Lack(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a reservation failed: the account and its owner (`whose`), the budget, its limit, the amount left and the
    amount wanted."""

    account: str
    budget: str
    limit: int
    left: int
    wanted: int
    whose: str = THE_MANDATE

    def text(self) -> str:
        """Return the human-readable sentence."""
        budget = "the mandate's budget" if self.whose == THE_MANDATE else f"{self.whose}: the budget"
        if self.budget == CALLS:
            return f"{budget} of {self.limit} calls is spent"
        what = unit_of(self.budget)
        takes = f"this action may take {self.wanted}"
        return f"{budget} of {self.limit} {what} has {self.left} left, and {takes}"


def checked_limits(limits: Iterable[tuple[str, object]]) -> tuple[tuple[str, int], ...]:
    """Check limits other than `calls`: each named once. Return them sorted by name.

    Raises Malformed (`budget.name`, `budget.amount`).
    """
    found: dict[str, int] = {}
    for name, limit in limits:
        if checked_budget(name) == CALLS:
            raise BUDGET_NAME("the number of calls is limited by `calls_max`, not here")
        if name in found:
            raise BUDGET_NAME(f"budget {shown(name, 40)} is set twice")
        if type(limit) is not int or not is_amount(limit):
            raise BUDGET_AMOUNT(f"budget {shown(name, 40)} is a whole number from 0 to 2^53 - 1")
        found[name] = limit
    if len(found) > BUDGETS_MAX:
        raise BUDGET_NAME(f"expected at most {BUDGETS_MAX} budgets, got {len(found)}")
    return tuple(sorted(found.items()))


def unit_of(budget: str) -> str:
    """Return the human-readable unit that a budget counts."""
    if budget.startswith(MONEY):
        return f"minor units of {budget.removeprefix(MONEY)}"
    return {WALL_MS: "milliseconds of upstream time"}.get(budget, budget)


class Spending:
    """The amounts used of all accounts. Not thread-safe; no method waits.

    Amounts are stored by account, then by budget. An account that nothing was counted in is at 0.
    """

    __slots__ = ("_used",)

    def __init__(self) -> None:
        self._used: dict[str, dict[str, int]] = {}

    def used(self, account: str) -> Amounts:
        """Return a copy of the amounts used of one account."""
        return dict(self._used.get(account, NOTHING))

    def all(self) -> Mapping[str, Amounts]:
        """Return a copy of all amounts used, by account."""
        return {account: dict(amounts) for account, amounts in self._used.items()}

    def calls(self, account: str) -> int:
        """Return the `calls` used of an account. A method of its own since every action needs the number."""
        used = self._used.get(account)
        return used.get(CALLS, 0) if used is not None else 0

    def lack(self, accounts: Sequence[Account], amounts: Amounts) -> Lack | None:
        """Return the first budget that cannot cover these amounts, or None if all can."""
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

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> int | Lack:
        """Reserve these amounts in every account. Return the `calls` used of the first one with them; if one account
        lacks an amount, reserve nothing and return the lack."""
        if amounts is ONE_CALL and len(accounts) == 1:
            # Fast path for the usual case; the general path gives the same result.
            account = accounts[0]
            used = self._used.get(account.id)
            calls = used.get(CALLS, 0) if used is not None else 0
            if used is not None and calls < account.limits.get(CALLS, AMOUNT_MAX):
                used[CALLS] = calls + 1
                return calls + 1
        lack = self.lack(accounts, amounts)
        if lack is not None:
            return lack
        self.take([account.id for account in accounts], amounts)
        return self.calls(accounts[0].id)

    def take(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """Count what has already been spent, regardless of the limits; a counter stops at 2^53 - 1."""
        for account in accounts:
            used = self._used.get(account)
            if used is None:
                used = self._used[account] = {}
            for name, amount in amounts.items():
                used[name] = min(AMOUNT_MAX, used.get(name, 0) + amount)

    def give_back(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """Subtract amounts that were not used; a counter never falls below 0."""
        for account in accounts:
            used = self._used.get(account)
            if used is not None:
                for name, amount in amounts.items():
                    used[name] = max(0, used.get(name, 0) - amount)

    def restore(self, account: str, amounts: Amounts) -> None:
        """Set the amounts used, as read at startup; never lowers a counter."""
        used = self._used.setdefault(account, {})
        for name, amount in amounts.items():
            used[name] = max(amount, used.get(name, 0))
