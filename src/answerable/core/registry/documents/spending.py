"""What a capability says about how much its actions spend.

Laws: what is not declared is not known, and not taken for nothing; that an action spends nothing is declared as 0.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountMapping:
    """How much money an action moves. argument: holds it, in minor units; empty when `fixed` says it.

    currency: fixed, or in `currency_argument`. A fixed 0 needs neither.
    """

    argument: str = ""
    fixed: int = 0
    currency: str = ""
    currency_argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveMapping:
    """The most that one action spends of a budget: `fixed`, or what `argument` says.

    default: what holds when the argument is absent; None refuses then.
    """

    budget: str
    argument: str = ""
    fixed: int = 0
    default: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureMapping:
    """Where in an answer it says what was really spent: a JSON pointer (RFC 6901) to a whole number or a list. budget:
    `rows`, `tokens`, or `money`, in minor units of the currency that was reserved."""

    budget: str
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendMapping:
    """All of it. amount: None where nobody said whether money moves."""

    amount: AmountMapping | None = None
    reserves: tuple[ReserveMapping, ...] = ()
    measures: tuple[MeasureMapping, ...] = ()

    def declares(self, budget: str) -> bool:
        """Whether it is known how much an action takes of `rows`, `bytes` or `tokens` at most."""
        return any(one.budget == budget for one in self.reserves)


UNDECLARED = SpendMapping()
