"""What tokens cost, as the settings say it, with day and source; and the most that one call can take. Pure.

Laws: sums are whole numbers of a millionth of a millionth of the currency, rounded up once, at the end; what has no
price is not free, it is refused where money is limited; an estimate is never below what a tokenizer that works on bytes
can make of the text.
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
"""What a provider may put around each message."""
REQUEST_TOKENS: Final = 512
"""What it may put around the whole."""
TOOLS_TOKENS: Final = 1_024
"""What it may tell the model about using tools at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """In millionths of a millionth of the currency, a token."""

    read: int
    written: int

    def cost(self, read: int, written: int) -> int:
        """Of so many tokens."""
        return self.read * read + self.written * written


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """day: ISO 8601, on which they were looked up. minor_per_unit: how many of its minor units a unit has."""

    currency: str = ""
    day: str = ""
    source: str = ""
    minor_per_unit: int = 100
    of: tuple[tuple[str, Price], ...] = ()

    def find(self, model: str) -> Price | None:
        """By its very name."""
        return next((price for name, price in self.of if name == model), None)

    def minor_units(self, cost: int) -> int:
        """Rounded up, as a budget counts it."""
        return -(-cost * self.minor_per_unit // PICO)


def read_prices(
    lines: Iterable[str], *, currency: str, day: str, source: str, minor_per_unit: int = 100
) -> Prices:
    """Each line: `MODEL INPUT OUTPUT`, both for a million tokens, in units of the currency. Raises Malformed
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
    """How many tokens a request can be at most: a tokenizer that works on bytes makes no more tokens than bytes."""
    return text_bytes + MESSAGE_TOKENS * messages + REQUEST_TOKENS + (TOOLS_TOKENS if with_tools else 0)


def _price(text: str) -> int | None:
    try:
        price = Decimal(text)
    except InvalidOperation:
        return None
    if not price.is_finite() or not 0 <= price <= PRICE_MAX or -int(price.as_tuple().exponent) > PLACES_MAX:
        return None
    return int(price * MICRO)
