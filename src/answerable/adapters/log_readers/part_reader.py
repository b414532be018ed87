"""Read a log in parts, as it grows: each kind by its own reader, which goes on where the part before ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Protocol

from answerable.adapters.log_readers.json_objects import JsonObject
from answerable.adapters.log_readers.postgres import PostgresLog
from answerable.adapters.log_readers.rabbitmq import RabbitmqLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from answerable.adapters.log_readers.bounded_lines import BoundedLine
    from answerable.adapters.log_readers.log_times import LogTimes
    from answerable.core.attribution.log_line import LogKind, LogLine, UnreadLine

_WARM: Final = frozenset({"sshd", "journald", "nats", "mariadb"})
"""Kinds whose lines name a session that an earlier line began, or let nobody into."""


class LineReader(Protocol):
    """Reads lines."""

    def read(self, lines: Iterable[BoundedLine], /) -> Iterator[LogLine | UnreadLine]: ...


class ObjectReader(Protocol):
    """Reads objects of JSON."""

    def read(self, objects: Iterable[JsonObject], /) -> Iterator[LogLine | UnreadLine]: ...


class LogParts:
    """Implements PartReader over the reader of a kind. objects: the reader of a kind that has one object a line."""

    def __init__(
        self, kind: LogKind, times: LogTimes, lines: LineReader | None, objects: ObjectReader | None = None
    ) -> None:
        self._kind, self._times, self._lines, self._objects = kind, times, lines, objects

    @property
    def is_warm(self) -> bool:
        return self._kind in _WARM

    @property
    def misread(self) -> int:
        return self._times.misread

    def begin(self, first: str) -> None:
        if isinstance(self._lines, PostgresLog):
            self._lines.begin(first)

    def read(self, lines: Iterable[BoundedLine], now: int) -> Iterator[LogLine | UnreadLine]:
        self._times.goes_on(now)
        if self._objects is not None:
            return self._objects.read(_object(line) for line in lines)
        return self._lines.read(lines) if self._lines is not None else iter(())

    def whole(self, lines: Sequence[BoundedLine]) -> int:
        if isinstance(self._lines, RabbitmqLog):
            return len(lines) - self._lines.begun(lines)
        if isinstance(self._lines, PostgresLog) and self._lines.has_open_text():
            quotes = whole = 0
            for number, line in enumerate(lines, 1):
                quotes += line.text.count('"') + line.quotes
                whole = whole if quotes % 2 else number
            return whole
        return len(lines)


def _object(line: BoundedLine) -> JsonObject:
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError):
        value = None
    return JsonObject(line.number, value if isinstance(value, dict) else None)
