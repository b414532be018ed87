"""Convert values of JSON to those that the driver takes for PostgreSQL's types, without hidden loss."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.canonical import JSONValue


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
