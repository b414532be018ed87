"""Parse server-sent events incrementally and within limits (WHATWG HTML, section 9.2). Pure."""

from __future__ import annotations

import re
from typing import Final

from answerable.errors.codes.registry import MODEL_STREAM

EVENT_BYTES_MAX: Final = 1_048_576
_LINE: Final = re.compile(rb"\r\n|\n|\r(?!$)")


class EventStream:
    """Incremental parser: accepts bytes in any pieces and returns complete events."""

    def __init__(self) -> None:
        self._waiting = b""
        self._name = ""
        self._data: list[str] = []
        self._size = 0

    def take(self, chunk: bytes) -> list[tuple[str, str]]:
        """Add bytes and return the completed events, each as name and data. Raises Malformed (`model.stream`) for an
        event above the limit."""
        *lines, self._waiting = _LINE.split(self._waiting + chunk)
        found: list[tuple[str, str]] = []
        for line in lines:
            if line:
                self._line(line.decode("utf-8", "replace"))
            elif self._data or self._name:
                if self._data:
                    found.append((self._name, "\n".join(self._data)))
                self._name, self._data, self._size = "", [], 0
        if len(self._waiting) + self._size > EVENT_BYTES_MAX:
            raise MODEL_STREAM(f"an event of the stream has more than {EVENT_BYTES_MAX} bytes")
        return found

    def _line(self, line: str) -> None:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._size += len(value)
        elif field == "event":
            self._name = value
