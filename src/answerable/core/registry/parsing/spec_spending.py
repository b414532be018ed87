"""Parse the members of a Capability document that declare the spending of its actions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.budget_name import (
    AMOUNT_MAX,
    BYTES,
    MONEY_SPENT,
    ROWS,
    TOKENS,
    is_amount,
    money_in,
)
from answerable.core.registry.documents.fields import matching, type_name
from answerable.core.registry.documents.spending import (
    UNDECLARED,
    AmountMapping,
    MeasureMapping,
    ReserveMapping,
    SpendMapping,
)
from answerable.core.registry.parsing.spec_shared import ARGUMENT_NAME
from answerable.errors import shown
from answerable.errors.codes.documents import DOCUMENT_MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.registry.documents.capability import ArgumentMapping
    from answerable.core.registry.documents.fields import Fields

SPENDING_KEYS: Final = ("amount", "reserves", "measures")
AMOUNT_KEYS: Final = ("argument", "fixed", "currency", "currencyArgument")
RESERVE_KEYS: Final = (ROWS, BYTES, TOKENS)
RESERVE_ARGUMENT_KEYS: Final = ("argument", "default")
MEASURE_KEYS: Final = (ROWS, TOKENS, MONEY_SPENT)

_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*){1,16}")
_CODE: Final = "capability.spending"


def spending_in(spec: Fields, arguments: tuple[ArgumentMapping, ...]) -> SpendMapping:
    """Read the spending declarations. Records faults, and never raises."""
    if not any(spec.has(name) for name in SPENDING_KEYS):
        return UNDECLARED
    types = {argument.name: argument.type for argument in arguments}
    return SpendMapping(
        amount=_amount(spec, types), reserves=_reserves(spec, types), measures=_measures(spec)
    )


def _amount(spec: Fields, types: Mapping[str, str]) -> AmountMapping | None:
    if not spec.has("amount"):
        return None
    amount = spec.section("amount", AMOUNT_KEYS)
    if amount.has("argument") == amount.has("fixed"):
        amount.fault(
            "an amount needs `argument` or `fixed`; `fixed: 0` means that no money moves", code=_CODE
        )
    argument = _argument(amount, "argument", types, "minor_units")
    fixed = amount.integer("fixed", minimum=0, maximum=AMOUNT_MAX, default=0)
    moves = amount.has("argument") or fixed > 0
    if moves and amount.has("currency") == amount.has("currencyArgument"):
        amount.fault("an amount needs either `currency` or `currencyArgument`", code=_CODE)
    return AmountMapping(
        argument=argument,
        fixed=fixed,
        currency=amount.text("currency", default="", check=money_in),
        currency_argument=_argument(amount, "currencyArgument", types, "string"),
    )


def _reserves(spec: Fields, types: Mapping[str, str]) -> tuple[ReserveMapping, ...]:
    found: list[ReserveMapping] = []
    values = spec.pairs("reserves")
    if not values:
        return ()
    reserves = spec.section("reserves", RESERVE_KEYS)
    for name, value in values:
        if name not in RESERVE_KEYS:
            continue
        if isinstance(value, dict):
            bound = reserves.section(name, RESERVE_ARGUMENT_KEYS)
            argument = _argument(bound, "argument", types, "integer")
            if not bound.has("argument"):
                bound.fault("`argument` is missing", code=DOCUMENT_MISSING.id)
            default = (
                bound.integer("default", minimum=0, maximum=AMOUNT_MAX, default=0)
                if bound.has("default")
                else None
            )
            found.append(ReserveMapping(budget=name, argument=argument, default=default))
        elif type(value) is int and is_amount(value):
            found.append(ReserveMapping(budget=name, fixed=value))
        else:
            got = shown(value) if type(value) is int else type_name(value)
            message = (
                f"expected a whole number from 0 to 2^53 - 1, or the `argument` that bounds it, got {got}"
            )
            reserves.fault(message, name, code=_CODE)
    return tuple(found)


def _measures(spec: Fields) -> tuple[MeasureMapping, ...]:
    measures = spec.section("measures", MEASURE_KEYS, needed=False)
    pointers = [
        MeasureMapping(
            budget=name, pointer=measures.text(name, check=matching(_POINTER, "a JSON pointer such as /rows"))
        )
        for name in MEASURE_KEYS
        if measures.has(name)
    ]
    return tuple(pointers)


def _argument(section: Fields, key: str, types: Mapping[str, str], expected: str) -> str:
    """Read the name of a declared argument of the expected type."""
    name = section.text(key, default="", check=matching(ARGUMENT_NAME, "an argument name"))
    if name and types.get(name) != expected:
        section.fault(
            f"argument {shown(name)} must be among `arguments`, with type `{expected}`", key, code=_CODE
        )
    return name
