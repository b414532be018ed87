"""Read the objects of a JSON file one after the other: one a line, or all in one array, also under `Records`.

Promise: memory is bounded, whatever the file holds; an object that is longer than that, nested too deep or broken is
passed over and counted.
Law: an object ends where its brackets are closed, or, where they are not, before the next line that begins one: no text
can hold the end of a line.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

OBJECT_CHARS_MAX: Final = 1_048_576
READ_BYTES: Final = 262_144
_PREFIX_CHARS: Final = 64
_BETWEEN: Final = re.compile(r'[\s,\[\]}\ufeff]*+(?:\{\s{0,16}"Records"\s{0,16}:\s{0,16}\[)?')
_NEXT: Final = "\n{"
_OUTSIDE: Final = re.compile(r'["{}\[\]]|\n(?=\{)')
_IN_TEXT: Final = re.compile(r'["\\\n]')
_DECODED: Final = json.JSONDecoder().raw_decode


class JsonObject(NamedTuple):
    """number: from 1. value: None for one that could not be read."""

    number: int
    value: dict[str, Any] | None


def json_objects(
    file: BinaryIO, *, chars_max: int = OBJECT_CHARS_MAX, read_bytes: int = READ_BYTES
) -> Iterator[JsonObject]:
    """Yield the objects of a file. Bytes that are no UTF-8 become U+FFFD. Raises OSError."""
    source = _Source(file, read_bytes)
    number = 0
    while source.has_more():
        number += 1
        yield JsonObject(number, source.read(chars_max))
    if not number and source.is_open:
        yield JsonObject(1, None)


class _Source:
    """A file and the part of it that is in memory, from `_at` on unread."""

    def __init__(self, file: BinaryIO, read_bytes: int) -> None:
        self._file = file
        self._read_bytes = read_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._at = 0
        self._depth = 0

    @property
    def is_open(self) -> bool:
        """Whether more arrays were begun than ended between the objects."""
        return self._depth > 0

    def has_more(self) -> bool:
        """Go to the next object. Returns whether there is anything."""
        while True:
            found = _BETWEEN.match(self._text, self._at)
            end = found.end() if found is not None else self._at
            if end > self._at:
                self._depth += self._text.count("[", self._at, end) - self._text.count("]", self._at, end)
                self._at = end
            elif len(self._text) - end >= _PREFIX_CHARS or not self._fill():
                return self._at < len(self._text)

    def read(self, chars_max: int) -> dict[str, Any] | None:
        """Return the object that begins here; None where none does that can be read, which is passed over."""
        if not self._text.startswith("{", self._at):
            self._pass_line()
            return None
        while True:
            try:
                value, end = _DECODED(self._text, self._at)
            except (ValueError, RecursionError):
                is_all = len(self._text) - self._at >= chars_max or self._text.find(_NEXT, self._at) >= 0
            else:
                self._at = end
                return dict(value)
            if is_all or not self._fill():
                self._pass_object()
                return None

    def _fill(self) -> bool:
        """Read on, and forget what was read before."""
        octets = self._file.read(self._read_bytes)
        self._text = self._text[self._at :] + self._decoder.decode(octets, final=not octets)
        self._at = 0
        return bool(octets)

    def _pass_line(self) -> None:
        while (end := self._text.find("\n", self._at)) < 0:
            self._at = len(self._text)
            if not self._fill():
                self._at = len(self._text)
                return
        self._at = end

    def _pass_object(self) -> None:
        depth, is_text = 0, False
        while True:
            found = (_IN_TEXT if is_text else _OUTSIDE).search(self._text, self._at)
            if found is None:
                self._at = len(self._text)
                if not self._fill():
                    self._at = len(self._text)
                    return
                continue
            mark, self._at = found[0], found.end()
            if mark == "\n":
                return
            if mark == "\\":
                if self._at == len(self._text):
                    self._fill()
                self._at += self._text[self._at : self._at + 1] not in ("", "\n")
            elif mark == '"':
                is_text = not is_text
            else:
                depth += 1 if mark in "{[" else -1
                if depth <= 0:
                    return
