"""Narrow the arguments of an action: the result is the same action, or less of it, never another or a larger one.

Laws: narrowing a narrowed action changes nothing; a value that cannot be compared cannot be narrowed, and is refused.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from answerable.core.decision.obligation import NUMBER
from answerable.errors import Refused, shown
from answerable.errors.codes.policy import OBLIGATION_CONFLICT_REFUSED, OBLIGATION_UNFULFILLABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.obligation import Narrowing


def narrowed_arguments(
    narrowings: tuple[Narrowing, ...], arguments: Mapping[str, JSONValue]
) -> dict[str, JSONValue]:
    """Return the arguments after all narrowings; unchanged if they are narrow enough.

    Raises Refused: `obligation.unfulfillable` for an argument that cannot be narrowed, `obligation.conflict` for
    narrowings that cannot all hold. The text never contains the argument's value.
    """
    result = dict(arguments)
    for one in narrowings:
        result[one.argument] = _narrowed(one, result)
    for one in narrowings:
        try:
            settled = same(_narrowed(one, result), result[one.argument])
        except Refused:
            settled = False
        if not settled:
            raise OBLIGATION_CONFLICT_REFUSED(
                f"policies narrow argument {shown(one.argument)} in ways that contradict each other"
            )
    return result


def same(one: JSONValue, other: JSONValue) -> bool:
    """Whether two JSON values are equal: `true` is not 1, although Python treats them as equal."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _narrowed(narrowing: Narrowing, arguments: Mapping[str, JSONValue]) -> JSONValue:
    argument, bound = narrowing.argument, narrowing.bound
    value = arguments.get(argument)
    if narrowing.how == "at_most":
        return _at_most(argument, value, str(bound))
    if narrowing.how == "one_of" and isinstance(bound, list):
        return _one_of(argument, value, bound)
    return _exactly(argument, value, bound)


def _at_most(argument: str, value: JSONValue, bound: str) -> JSONValue:
    """Limit a number, or a numeric text. An absent value is refused, because the upstream's default may be smaller."""
    limit = Decimal(bound)
    if type(value) is int:
        return value if value <= limit else int(limit.to_integral_value("ROUND_FLOOR"))
    if type(value) is float:
        return value if Decimal(value) <= limit else float(limit)
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return value if Decimal(value) <= limit else bound
    raise _cannot(argument, "is to be a number" if value is not None else "is to be there, and a number")


def _one_of(argument: str, value: JSONValue, choices: list[JSONValue]) -> JSONValue:
    """Keep the allowed items of a list; any other value must be allowed as it is, because nobody chooses another in its
    place."""
    if isinstance(value, list):
        kept = [one for one in value if any(same(one, choice) for choice in choices)]
        if kept:
            return kept
        raise _cannot(argument, "has no allowed item")
    if value is not None and any(same(value, choice) for choice in choices):
        return value
    raise _cannot(argument, "is not one of the allowed values")


def _exactly(argument: str, value: JSONValue, wanted: JSONValue) -> JSONValue:
    """Replace an absent value, a boolean, a larger number or a longer list. Replacing one text by another is no
    narrowing."""
    if value is None or same(value, wanted) or (isinstance(value, bool) and isinstance(wanted, bool)):
        return wanted
    if type(value) is int and type(wanted) is int and value > wanted:
        return wanted
    if isinstance(value, list) and isinstance(wanted, list):
        if all(any(same(one, there) for there in value) for one in wanted):
            return wanted
        raise _cannot(argument, "lacks an item that it would be narrowed to")
    raise _cannot(argument, "would be replaced, not narrowed")


def _cannot(argument: str, why: str) -> Refused:
    return OBLIGATION_UNFULFILLABLE(
        f"policy narrows argument {shown(argument)}, which {why}: send a value that can be narrowed"
    )
