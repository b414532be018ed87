"""Compute the cost of tokens from configured prices, and the most tokens that a request can take. Pure.

Laws: sums are integers in 10⁻¹² of the currency unit, rounded up once, at the end; a model without a price is not free,
it is refused where cost is limited; an estimate is never below the number of tokens that a byte-based tokenizer can
produce.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.registry import MODEL_PRICE

if TYPE_CHECKING:
    from collections.abc import Iterable

PRICE_MAX: Final = Decimal(1_000_000)
PLACES_MAX: Final = 6
MICRO: Final = 10**6
PICO: Final = 10**12
MESSAGE_TOKENS: Final = 32
"""Tokens that a provider may add to each message."""
REQUEST_TOKENS: Final = 512
"""Tokens that a provider may add to the whole request."""
TOOLS_TOKENS: Final = 1_024
"""Tokens that a provider may add to explain the use of tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Price of one token, in 10⁻¹² of the currency unit. read: input tokens. written: output tokens."""

    read: int
    written: int

    def cost(self, read: int, written: int) -> int:
        """Return the cost of so many input and output tokens."""
        return self.read * read + self.written * written


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices by model. day: ISO 8601 date of the prices. source: where they were looked up. minor_per_unit: minor units
    per currency unit."""

    currency: str = ""
    day: str = ""
    source: str = ""
    minor_per_unit: int = 100
    of: tuple[tuple[str, Price], ...] = ()

    def find(self, model: str) -> Price | None:
        """Return the price of a model, by exact name; None if unknown."""
        return next((price for name, price in self.of if name == model), None)

    def minor_units(self, cost: int) -> int:
        """Convert a cost to minor units, rounded up, as budgets count."""
        return -(-cost * self.minor_per_unit // PICO)


def read_prices(
    lines: Iterable[str], *, currency: str, day: str, source: str, minor_per_unit: int = 100
) -> Prices:
    """Parse price lines `MODEL INPUT OUTPUT`; both prices are for a million tokens, in currency units. Raises Malformed
    (`model.price`)."""
    found: dict[str, Price] = {}
    for line in lines:
        parts = line.split()
        prices = [_price(part) for part in parts[1:]]
        if len(parts) != 3 or None in prices or parts[0] in found:
            raise MODEL_PRICE(
                f"{shown(line)} is not `MODEL INPUT OUTPUT`, each model once, prices for a million tokens with at most "
                f"{PLACES_MAX} decimal places"
            )
        found[parts[0]] = Price(read=prices[0] or 0, written=prices[1] or 0)
    if found and not (len(currency) == 3 and currency.isascii() and currency.isupper() and day and source):
        raise MODEL_PRICE("prices need a currency of three capital letters, a day and a source")
    return Prices(
        currency=currency,
        day=day,
        source=source,
        minor_per_unit=minor_per_unit,
        of=tuple(sorted(found.items())),
    )


def read_at_most(text_bytes: int, messages: int, *, with_tools: bool) -> int:
    """Return the most tokens that a request can have: a byte-based tokenizer produces no more tokens than bytes."""
    return text_bytes + MESSAGE_TOKENS * messages + REQUEST_TOKENS + (TOOLS_TOKENS if with_tools else 0)


def _price(text: str) -> int | None:
    try:
        price = Decimal(text)
    except InvalidOperation:
        return None
    if not price.is_finite() or not 0 <= price <= PRICE_MAX or -int(price.as_tuple().exponent) > PLACES_MAX:
        return None
    return int(price * MICRO)
