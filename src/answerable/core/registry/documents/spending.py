"""What a capability declares about the spending of its actions.

Laws: an amount that is not declared is unknown, and not taken for zero; an action that spends nothing declares 0.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountMapping:
    """How much money an action moves. argument: contains the amount, in minor units; empty if `fixed` states it.

    currency: fixed, or read from `currency_argument`. A fixed 0 needs neither.
    """

    argument: str = ""
    fixed: int = 0
    currency: str = ""
    currency_argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveMapping:
    """The most that one action spends of a budget: `fixed`, or the value of `argument`.

    default: used if the argument is absent; None refuses then.
    """

    budget: str
    argument: str = ""
    fixed: int = 0
    default: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureMapping:
    """Where an answer states the actual spending. pointer: a JSON pointer (RFC 6901) to a whole number or a list.
    budget: `rows`, `tokens`, or `money`, in minor units of the reserved currency."""

    budget: str
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendMapping:
    """All spending declarations of a capability. amount: None if it is not declared whether money moves."""

    amount: AmountMapping | None = None
    reserves: tuple[ReserveMapping, ...] = ()
    measures: tuple[MeasureMapping, ...] = ()

    def declares(self, budget: str) -> bool:
        """Whether the capability declares the most that an action takes of `rows`, `bytes` or `tokens`."""
        return any(one.budget == budget for one in self.reserves)


UNDECLARED = SpendMapping()
