"""Convert values of JSON to expressions of MariaDB, without silent loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.adapters.mariadb_accounts.quoting import hexed

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

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
