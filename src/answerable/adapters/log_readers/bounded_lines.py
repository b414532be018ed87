"""Read a file as lines of bounded length: of a longer one the beginning is read, and the rest is passed over."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

LINE_BYTES_MAX: Final = 65_536


class BoundedLine(NamedTuple):
    """number: from 1. text: without its end. is_cut: the line is longer. quotes: double quotes in the part passed
    over."""

    number: int
    text: str
    is_cut: bool = False
    quotes: int = 0


def bounded_lines(
    file: BinaryIO, *, bytes_max: int = LINE_BYTES_MAX, is_begin: bool = True
) -> Iterator[BoundedLine]:
    """Yield the lines of a file. Bytes that are no UTF-8 become U+FFFD. is_begin: whether they begin the file: then a
    mark of the order of bytes is passed over. Raises OSError."""
    number = 0
    while piece := file.readline(bytes_max):
        number += 1
        is_cut = len(piece) == bytes_max and not piece.endswith(b"\n")
        if is_begin and number == 1:
            piece = piece.removeprefix(BOM_UTF8)
        rest, quotes = (piece, 0) if is_cut else (b"", 0)
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(bytes_max)
            quotes += rest.count(b'"')
        yield BoundedLine(number, piece.rstrip(b"\r\n").decode("utf-8", "replace"), is_cut, quotes)
