"""Convert values between JSON and PostgreSQL's types, without hidden loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.canonical import INTEGER_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.canonical import JSONValue

PARAMETERS_MAX: Final = 100
DEPTH_MAX: Final = 8


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


_READ: Final[Mapping[str, Callable[[Any], object]]] = {
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timetz": time.fromisoformat,
    "timestamp": _moment,
    "timestamptz": _moment,
    "bytea": bytes.fromhex,
    "numeric": str,
}
_TEXTS: Final = frozenset({"text", "varchar", "bpchar", "name", "unknown"})
_DOCUMENTS: Final = frozenset({"json", "jsonb"})


def parameter(value: JSONValue, type_name: str) -> object:
    """Convert a JSON value to the driver's value for a parameter of this type. Raises ValueError or TypeError if it
    does not fit."""
    if value is None:
        return None
    if type_name in _DOCUMENTS:
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if type_name.endswith("[]"):
        if not isinstance(value, list):
            raise TypeError("a list is wanted")
        return [parameter(one, type_name[:-2]) for one in value]
    if isinstance(value, dict | list):
        raise TypeError(f"a list or object is no {type_name}")
    if type_name in _READ:
        read = _READ[type_name]
        if isinstance(value, bool) or not (isinstance(value, str) or read is str):
            raise TypeError("a text is wanted")
        return read(value)
    if type_name in _TEXTS and not isinstance(value, str):
        raise TypeError("a text is wanted")
    return value


def shown_value(value: object, depth: int = 0) -> JSONValue:
    """Convert a value to JSON: JSON types stay as they are; integers that a reader might round, and all other types,
    become text."""
    if value is None or isinstance(value, bool | str):
        return _printable(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return value if abs(value) <= INTEGER_MAX else str(value)
    if isinstance(value, float):
        is_plain = math.isfinite(value) and abs(value) <= INTEGER_MAX
        return value if is_plain else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():f} s"
    # A driver record is both a mapping and a sequence.
    if depth < DEPTH_MAX and (isinstance(value, list | tuple) or hasattr(value, "values")):
        items = value if isinstance(value, list | tuple) else value.values()
        return [shown_value(one, depth + 1) for one in items]
    return str(value)


def _printable(text: str) -> str:
    """Replace lone surrogates, which JSON text cannot contain."""
    return text.encode("utf-8", "replace").decode()


def size_of(value: JSONValue) -> int:
    """Return the size in bytes as JSON."""
    return len(msgspec.json.encode(value))
