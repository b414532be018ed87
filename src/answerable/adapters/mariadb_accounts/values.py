"""Convert values between JSON and MariaDB's types without silent loss."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.adapters.mariadb_accounts.quoting import hexed
from answerable.core.canonical import INTEGER_MAX

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

PARAMETERS_MAX: Final = 100
_INTEGER_MAX: Final = 2**64 - 1
_INTEGER_MIN: Final = -(2**63)


def expression(value: JSONValue) -> str:
    """Return a value as an SQL expression of one token or one call. Raises ValueError for a number that the server
    cannot represent."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        if not _INTEGER_MIN <= value <= _INTEGER_MAX:
            raise ValueError("past 64 bits")
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("no number")
        return f"{value:.17e}"
    if isinstance(value, str):
        return hexed(value)
    return hexed(msgspec.json.encode(value).decode())


def shown_value(value: object) -> JSONValue:
    """Return a value as JSON: JSON types unchanged, integers beyond JavaScript's safe range and all other types as
    text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return value if abs(value) <= INTEGER_MAX else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) and abs(value) <= INTEGER_MAX else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():f} s"
    return str(value)


def size_of(value: JSONValue) -> int:
    """Return the size of the value as JSON, in bytes."""
    return len(msgspec.json.encode(value))
