"""The rows of one statement, up to the limits of its lease, and the result that shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.canonical import INTEGER_MAX
from answerable.core.lease.answer_text import answer_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue

DEPTH_MAX: Final = 8


class TooMany(Exception):
    """The statement would change more rows than were granted: its transaction is rolled back."""


@dataclass(slots=True, kw_only=True)
class Rows:
    """The result of one statement. cut: why rows are missing; empty if none are. changed: rows that it changed, as the
    server counts them; None if it does not."""

    columns: list[str]
    rows_max: int
    bytes_max: int
    reads: bool
    rows: list[JSONValue] = field(default_factory=list)
    cut: str = ""
    changed: int | None = None
    _left: int = 0
    _taken: int = 0

    def __post_init__(self) -> None:
        self._left = self.bytes_max
        if self.columns:
            self.changed = 0

    def take(self, record: Iterable[object]) -> bool:
        """Add a row. Return whether another one is wanted. Raises TooMany."""
        self._taken += 1
        if self._taken > self.rows_max:
            self.cut = f"there are more than the {self.rows_max} rows that were granted"
            if not self.reads:
                raise self.too_many()
            return False
        row: list[JSONValue] = [shown_value(value) for value in record]
        self._left -= len(msgspec.json.encode(row))
        if self._left < 0 and not self.cut:
            self.cut = f"there is more than the {self.bytes_max} bytes that one answer holds"
        if not self.cut:
            self.rows.append(row)
        self.changed = self._taken
        return not (self.cut and self.reads)

    def count(self, changed: int | None) -> None:
        """Set how many rows were changed, for a statement that returns none. Raises TooMany."""
        self.changed = changed
        if not self.reads and (changed or 0) > self.rows_max:
            raise self.too_many()

    def too_many(self) -> TooMany:
        """Return the error for more changed rows than were granted."""
        return TooMany(
            f"it would change more than the {self.rows_max} rows that were granted: nothing was changed"
        )

    def answer(self) -> dict[str, object]:
        """Return the result of the tool."""
        content: dict[str, object] = {"columns": self.columns, "rows": self.rows, "cut": bool(self.cut)}
        said = f"{len(self.rows)} rows"
        if not self.reads:
            content["changed"] = self.changed
            said = f"{self.changed or 0} rows changed"
        if self.cut:
            content["cutBecause"] = self.cut
            said += f"; cut: {self.cut}"
        return sql_result(content, said)


def sql_result(content: Mapping[str, object] | None, said: str) -> dict[str, object]:
    """Return the result of a tool. content: None where the call failed, which `said` explains."""
    text = said if content is None else answer_text(content, summary=said)
    result: dict[str, object] = {"content": [{"type": "text", "text": text}], "isError": content is None}
    return result if content is None else {**result, "structuredContent": content}


def shown_value(value: object, depth: int = 0) -> JSONValue:
    """Convert a value to JSON: JSON types stay as they are; integers that a reader might round, and all other types,
    become text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # JSON text cannot contain lone surrogates.
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
    # A record of a driver is both a mapping and a sequence.
    if depth < DEPTH_MAX and (isinstance(value, list | tuple) or hasattr(value, "values")):
        items = value if isinstance(value, list | tuple) else value.values()
        return [shown_value(one, depth + 1) for one in items]
    return str(value)
