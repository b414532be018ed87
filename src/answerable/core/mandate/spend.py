"""Compute the most that one action may take from budgets before it runs, and how much of that it did not use.

Laws: only declared amounts count; an amount that cannot be known refuses before the action, and is not given back after
it; no more is given back than was reserved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from answerable.core.mandate.budget import NOTHING, ONE_CALL
from answerable.core.registry.documents.budget_name import (
    AMOUNT_MAX,
    BYTES,
    CALLS,
    MONEY,
    MONEY_SPENT,
    WALL_MS,
    is_amount,
    money_in,
)
from answerable.errors import Malformed, shown
from answerable.errors.codes.mandate import BUDGET_AMOUNT_REFUSED, BUDGET_CURRENCY, BUDGET_UNDECLARED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.budget import Account, Amounts
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.spending import AmountMapping, MeasureMapping, ReserveMapping

End = Literal["succeeded", "failed", "not_started", "indeterminate"]


_ONLY_CALLS: Final = {CALLS}


class Rest(NamedTuple):
    """The difference between reservation and use. returned: the part that was reserved and not used. overrun: the use
    beyond the reservation."""

    returned: Amounts
    overrun: Amounts


def spend_of(
    capability: Capability, arguments: Mapping[str, JSONValue], accounts: Sequence[Account], *, wall_ms: int
) -> Amounts:
    """Return the most that this action takes of each budget that the accounts limit, sorted by name.

    wall_ms: longest time, in milliseconds, that the upstream may take. Raises Refused: `budget.undeclared` if the
    capability does not declare what it takes, `budget.amount` if the arguments give no valid amount, `budget.currency`
    for money of another currency.
    """
    limited: set[str] = set()
    for account in accounts:
        limited.update(account.limits)
    if limited == _ONLY_CALLS:
        # Fast path: most mandates limit nothing but calls.
        return ONE_CALL
    amounts = {CALLS: 1}
    for name in limited:
        if name == WALL_MS:
            amounts[name] = wall_ms
        elif name != CALLS and not name.startswith(MONEY):
            amounts[name] = _most(capability, name, arguments)
    if any(name.startswith(MONEY) for name in limited):
        name, amount = _money(capability, arguments)
        for account in accounts:
            _check_currency(account, name)
        if amount:
            amounts[name] = amount
    return dict(sorted(amounts.items()))


def rest_of(
    reserved: Amounts,
    status: End,
    *,
    result: JSONValue,
    result_bytes: int,
    elapsed_ms: int,
    measures: Sequence[MeasureMapping],
) -> Rest:
    """Return what of a reservation was not used, by how the action ended.

    - `not_started`: all of it.
    - `indeterminate`: nothing, since the use is unknown.
    - `failed`: the call stays used; the unused part of `bytes` and `wall_ms` is given back; of money, `rows` and
     `tokens` everything beyond what the answer reports as used.
    - `succeeded`: the call stays used; the unused part of `bytes` and `wall_ms` is given back; of money, `rows` and
     `tokens` the part that the answer reports as unused, and nothing if the answer does not report the use.
    """
    if status == "not_started":
        return Rest(reserved, NOTHING)
    if status == "indeterminate" or reserved is ONE_CALL:
        return Rest(NOTHING, NOTHING)
    returned, overrun = {}, {}
    for name, amount in reserved.items():
        if name == CALLS:
            continue
        if name == BYTES:
            used = result_bytes
        elif name == WALL_MS:
            used = elapsed_ms
        else:
            what = MONEY_SPENT if name.startswith(MONEY) else name
            measured = _measured(what, result, measures)
            unknown = 0 if status == "failed" else amount
            used = unknown if measured is None else measured
        if used < amount:
            returned[name] = amount - max(0, used)
        elif used > amount:
            overrun[name] = min(used, AMOUNT_MAX) - amount
    return Rest(returned or NOTHING, overrun or NOTHING)


def pointed_at(value: JSONValue, pointer: str) -> JSONValue:
    """Return the value that a non-empty JSON pointer (RFC 6901) refers to, or None if it refers to nothing."""
    for part in pointer.split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(step)
        elif (
            isinstance(value, list)
            and step.isdecimal()
            and step.isascii()
            and (step == "0" or step[0] != "0")
        ):
            value = value[int(step)] if len(step) < 10 and int(step) < len(value) else None
        else:
            return None
    return value


def _most(capability: Capability, name: str, arguments: Mapping[str, JSONValue]) -> int:
    declared = next((one for one in capability.spending.reserves if one.budget == name), None)
    if declared is None:
        raise BUDGET_UNDECLARED(
            f"the mandate limits {name}, and capability {shown(capability.name)} does not declare how "
            "many it uses: declare it in `spending`"
        )
    return _argument(declared, arguments) if declared.argument else declared.fixed


def _argument(declared: ReserveMapping, arguments: Mapping[str, JSONValue]) -> int:
    value = arguments.get(declared.argument)
    if value is None and declared.default is not None:
        return declared.default
    return _amount(value, declared.argument)


def money_moved(capability: Capability, arguments: Mapping[str, JSONValue]) -> Amounts:
    """Return the money that this action moves, whether or not a budget limits it; empty if the capability declares no
    amount.

    Raises Refused as `spend_of`.
    """
    if capability.spending.amount is None:
        return NOTHING
    name, amount = _money(capability, arguments)
    return {name: amount} if name else NOTHING


def _money(capability: Capability, arguments: Mapping[str, JSONValue]) -> tuple[str, int]:
    """Return budget name and amount; an empty name if the capability declares that no money moves."""
    declared = capability.spending.amount
    if declared is None:
        raise BUDGET_UNDECLARED(
            f"the mandate limits money, and capability {shown(capability.name)} does not declare how "
            "much it moves: declare it in `spending`"
        )
    if not declared.argument and not declared.fixed:
        return "", 0
    amount = (
        _amount(arguments.get(declared.argument), declared.argument) if declared.argument else declared.fixed
    )
    return _currency(declared, arguments), amount


def _currency(declared: AmountMapping, arguments: Mapping[str, JSONValue]) -> str:
    if declared.currency:
        return f"{MONEY}{declared.currency}"
    value = arguments.get(declared.currency_argument)
    try:
        return money_in(value if isinstance(value, str) else "")
    except Malformed:
        raise BUDGET_CURRENCY(
            f"argument {shown(declared.currency_argument)} must name a currency by three capital letters, such as "
            "`EUR`"
        ) from None


def _check_currency(account: Account, name: str) -> None:
    """Raise if the account limits money, and none of this currency."""
    known = sorted(limit for limit in account.limits if limit.startswith(MONEY))
    if name and known and name not in known:
        listed = ", ".join(limit.removeprefix(MONEY) for limit in known)
        raise BUDGET_CURRENCY(
            f"the mandate's budget is in {listed}, and this action moves {name.removeprefix(MONEY)}"
        )


def _amount(value: JSONValue, argument: str) -> int:
    if type(value) is not int or not is_amount(value):
        got = "nothing" if value is None else shown(value, 40)
        raise BUDGET_AMOUNT_REFUSED(
            f"argument {shown(argument)} counts against the mandate's budget: it must be a whole number from 0 to "
            f"2^53 - 1, got {got}"
        )
    return value


def _measured(name: str, result: JSONValue, measures: Sequence[MeasureMapping]) -> int | None:
    declared = next((one for one in measures if one.budget == name), None)
    if declared is None:
        return None
    value = pointed_at(result, declared.pointer)
    if isinstance(value, list):
        return len(value)
    return value if type(value) is int and value >= 0 else None
