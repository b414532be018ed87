"""Names of budgets, and the range of amounts.

| budget      | counts                                                                               |
|-------------|--------------------------------------------------------------------------------------|
| `calls`     | actions; the claim `calls_max` of a mandate is its limit                             |
| `money:EUR` | minor units of that currency that actions move                                       |
| `rows`      | rows that actions read or write                                                      |
| `bytes`     | bytes of answers, as JSON                                                            |
| `tokens`    | tokens of language models that actions use                                           |
| `wall_ms`   | milliseconds that upstream systems take                                              |

Laws: an amount is a whole number from 0 to 2^53 - 1; a name that is not in the table is no budget.
"""

from __future__ import annotations

import re
from typing import Final

from answerable.errors import shown
from answerable.errors.codes.mandate import BUDGET_NAME

CALLS: Final = "calls"
ROWS: Final = "rows"
BYTES: Final = "bytes"
TOKENS: Final = "tokens"
WALL_MS: Final = "wall_ms"
MONEY: Final = "money:"
"""Prefix of a currency: three capital letters, as in ISO 4217."""
MONEY_SPENT: Final = "money"
"""The name by which an answer reports money spent; the currency is that of the reservation."""
AMOUNT_MAX: Final = 2**53 - 1

_PLAIN: Final = frozenset({CALLS, ROWS, BYTES, TOKENS, WALL_MS})
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def money_in(currency: str) -> str:
    """Return the budget of a currency. Raises Malformed (`budget.name`) unless it is three capital letters."""
    if not _CURRENCY.fullmatch(currency):
        raise BUDGET_NAME(
            f"{shown(currency, 40)} is not a currency: expected three capital letters such as `EUR`"
        )
    return f"{MONEY}{currency}"


def checked_budget(name: str) -> str:
    """Return the name if it is that of a budget. Raises Malformed (`budget.name`)."""
    if name in _PLAIN:
        return name
    if name.startswith(MONEY):
        return money_in(name.removeprefix(MONEY))
    raise BUDGET_NAME(
        f"{shown(name, 40)} is not a budget: known are `rows`, `bytes`, `tokens`, `wall_ms` and money of one currency "
        "such as `money:EUR`"
    )


def is_amount(value: object) -> bool:
    """Whether the value is a whole number from 0 to 2^53 - 1."""
    return type(value) is int and 0 <= value <= AMOUNT_MAX
