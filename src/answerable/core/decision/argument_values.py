"""Convert the arguments of an action to Cedar values for `context.arguments`.

Laws: only declared arguments of the declared type are converted, so nothing a caller writes can become an entity, an
extension call or an expression; absent and `null` are equal; a value without a faithful Cedar form is refused, never
approximated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from answerable.core.canonical import INTEGER_MAX
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import ArgumentMapping, ArgumentType

PolicyValue: TypeAlias = "str | int | bool | list[str] | dict[str, dict[str, str]]"

SET_MEMBERS_MAX: Final = 256
STRING: Final[dict[str, JSONValue]] = {"type": "String"}
STRINGS: Final[dict[str, JSONValue]] = {"type": "Set", "element": STRING}
LONG: Final[dict[str, JSONValue]] = {"type": "Long"}
BOOLEAN: Final[dict[str, JSONValue]] = {"type": "Boolean"}
# Cedar's decimal is a signed 64-bit count of ten-thousandths (Cedar reference, decimal extension).
_DECIMAL: Final = re.compile(r"(-?)(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,4}))?")
_DECIMAL_UNITS_MAX: Final = 2**63 - 1

ARGUMENT_TYPES: Final[dict[ArgumentType, dict[str, JSONValue]]] = {
    "string": STRING,
    "boolean": BOOLEAN,
    "integer": LONG,
    "minor_units": LONG,
    "decimal": {"type": "Extension", "name": "decimal"},
    "string_set": STRINGS,
}
_WANTED: Final[dict[ArgumentType, str]] = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number within 2**53 - 1",
    "minor_units": "a whole number of minor units within 2**53 - 1",
    "decimal": "text of a decimal number with at most 4 places, such as `12.50`",
    "string_set": f"a list of at most {SET_MEMBERS_MAX} texts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmappable:
    """An argument that cannot be converted as declared. `text` is human-readable and never contains the value."""

    argument: str
    text: str


def mapped_arguments(
    mappings: tuple[ArgumentMapping, ...], arguments: Mapping[str, JSONValue]
) -> dict[str, PolicyValue] | Unmappable:
    """Return the members of `context.arguments` in Cedar's JSON form, or the first argument that does not fit.

    Undeclared arguments are left out: what the capability does not declare is invisible to policy.
    """
    mapped: dict[str, PolicyValue] = {}
    for mapping in mappings:
        value = arguments.get(mapping.name)
        if value is None:
            if mapping.required:
                return _unmappable(mapping, "nothing")
            continue
        if type(value) is str and mapping.type == "string":
            mapped[mapping.name] = value
            continue
        shape = _SHAPES[mapping.type](value)
        if shape is None:
            return _unmappable(mapping, _kind(value))
        mapped[mapping.name] = shape
    return mapped


def _text(value: JSONValue) -> PolicyValue | None:
    return value if type(value) is str else None


def _truth(value: JSONValue) -> PolicyValue | None:
    return value if type(value) is bool else None


def _whole(value: JSONValue) -> PolicyValue | None:
    return value if type(value) is int and -INTEGER_MAX <= value <= INTEGER_MAX else None


def decimal_value(value: JSONValue) -> PolicyValue | None:
    """Convert the text of a decimal number to its policy form; None for anything else."""
    match = _DECIMAL.fullmatch(value) if type(value) is str else None
    if match is None:
        return None
    sign, whole, places = match[1], match[2], match[3] or "0"
    if int(whole) * 10_000 + int(places.ljust(4, "0")) > _DECIMAL_UNITS_MAX:
        return None
    # The only extension call in any context; it is built here, from digits alone.
    return {"__extn": {"fn": "decimal", "arg": f"{sign}{whole}.{places}"}}


def _texts(value: JSONValue) -> PolicyValue | None:
    if type(value) is not list or len(value) > SET_MEMBERS_MAX:
        return None
    texts = [member for member in value if type(member) is str]
    return texts if len(texts) == len(value) else None


_SHAPES: Final[dict[ArgumentType, Callable[[JSONValue], PolicyValue | None]]] = {
    "string": _text,
    "boolean": _truth,
    "integer": _whole,
    "minor_units": _whole,
    "decimal": decimal_value,
    "string_set": _texts,
}


def _unmappable(mapping: ArgumentMapping, got: str) -> Unmappable:
    wanted = _WANTED[mapping.type]
    return Unmappable(
        argument=mapping.name, text=f"argument {shown(mapping.name)} must be {wanted}, got {got}"
    )


def _kind(value: JSONValue) -> str:
    match value:
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number with a fraction"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
