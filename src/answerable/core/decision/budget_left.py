"""Compute what is left of the budgets of an action, as policy sees it.

Laws: of several accounts the one with least left counts; an unlimited budget has no member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.budget_name import CALLS, MONEY, money_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.mandate.budget import Account, Amounts
    from answerable.core.registry.documents.capability import Capability

_PERCENT: Final = 100


def budget_left(
    accounts: Iterable[Account], used: Callable[[str], Amounts], capability: Capability
) -> dict[str, int]:
    """Return the members of `context.budget`.

    `left_percent`: of the budget with the smallest part left, rounded down. `money_left`: minor units of the currency
    that the capability is declared to move, where it declares one that is limited.
    """
    amount = capability.spending.amount
    own_money = money_in(amount.currency) if amount is not None and amount.currency else ""
    left: dict[str, int] = {}
    percent = _PERCENT
    for account in accounts:
        spent = used(account.id)
        for name, limit in account.limits.items():
            rest = max(0, limit - spent.get(name, 0))
            percent = min(percent, rest * _PERCENT // limit if limit else 0)
            if name.startswith(MONEY):
                if name != own_money:
                    continue
                name = "money"
            member = f"{name}_left"
            left[member] = min(rest, left.get(member, rest))
    left.setdefault(f"{CALLS}_left", 0)
    left["left_percent"] = percent
    return left
