"""Format amounts of money for people."""

from __future__ import annotations

from typing import Final

from answerable.core.registry.documents.budget_name import MONEY

_CURRENCY_PLACES: Final = {
    "BHD": 3,
    "CLP": 0,
    "IQD": 3,
    "ISK": 0,
    "JOD": 3,
    "JPY": 0,
    "KRW": 0,
    "KWD": 3,
    "LYD": 3,
    "OMR": 3,
    "PYG": 0,
    "RWF": 0,
    "TND": 3,
    "UGX": 0,
    "VND": 0,
    "VUV": 0,
    "XAF": 0,
    "XOF": 0,
    "XPF": 0,
}
"""Number of decimal places of currencies that do not have two (ISO 4217)."""


def money(budget: str, minor: int) -> str:
    """Format an amount with its currency's decimal places: `EUR 5,000.00`. budget: `money:EUR`."""
    currency = budget.removeprefix(MONEY)
    places = _CURRENCY_PLACES.get(currency, 2)
    whole, rest = divmod(minor, 10**places)
    return f"{currency} {whole:,}.{rest:0{places}d}" if places else f"{currency} {whole:,}"
