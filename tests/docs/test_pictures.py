"""The pictures in the documents: each is small, shown somewhere, and said in words to who does not see it."""

from __future__ import annotations

import re
import struct
import zlib

import pytest

from tests.browser.small_png import SIGNATURE, _chunk, _read, _rows, smaller
from tests.probes.demo_run import ROOT

SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
BYTES_MAX = 80_000
WIDTH, HEIGHT = 7, 10


@pytest.mark.requirement("NEWCOMER-03")
def test_each_picture_is_small_and_shown_with_words_that_say_what_is_on_it():
    pictures = {path.resolve() for path in (ROOT / "docs" / "images").iterdir()}
    shown = {}
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for words, place in SHOWN.findall(page.read_text()):
            shown[(page.parent / place).resolve()] = words
    assert set(shown) == pictures
    assert [path.name for path in pictures if path.stat().st_size > BYTES_MAX] == []
    assert [words for words in shown.values() if len(words) < 30] == []


def drawn(channels: int, colours: int) -> tuple[bytes, list[bytes]]:
    """A picture with every filter, and its lines as they are."""
    step = channels
    lines = [
        bytes(
            (number * 31 + at // step * 17) % colours if at % step < 3 else 255 for at in range(WIDTH * step)
        )
        for number in range(HEIGHT)
    ]
    packed, above = b"", bytes(WIDTH * step)
    for number, line in enumerate(lines):
        how = number % 5
        packed += bytes([how]) + bytes(
            (line[at] - guess(how, at, step, line, above)) & 255 for at in range(len(line))
        )
        above = line
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2 if channels == 3 else 6, 0, 0, 0)
    content = ((b"IHDR", header), (b"IDAT", zlib.compress(packed)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(*one) for one in content), lines


def guess(how: int, at: int, step: int, line: bytes, above: bytes) -> int:
    """What each filter expects, by section 9 of the specification."""
    left = line[at - step] if at >= step else 0
    up, corner = above[at], above[at - step] if at >= step else 0
    paeth = left + up - corner
    near = [abs(paeth - left), abs(paeth - up), abs(paeth - corner)]
    closest = left if near[0] <= min(near[1:]) else up if near[1] <= near[2] else corner
    return [0, left, up, (left + up) // 2, closest][how]


@pytest.mark.requirement("NEWCOMER-03")
@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_of_few_colours_is_the_same_when_it_is_smaller(channels: int):
    png, lines = drawn(channels, 200)
    assert list(_rows(zlib.decompress(_read(png)[3]), WIDTH * channels, channels, HEIGHT)) == lines
    made = smaller(png)
    at = made.index(b"PLTE")
    (length,) = struct.unpack_from(">I", made, at - 4)
    palette = made[at + 4 : at + 4 + length]
    start = made.index(b"IDAT")
    (length,) = struct.unpack_from(">I", made, start - 4)
    body = zlib.decompress(made[start + 4 : start + 4 + length])
    for number, line in enumerate(lines):
        row = body[number * (WIDTH + 1) + 1 : (number + 1) * (WIDTH + 1)]
        assert [palette[one * 3 : one * 3 + 3] for one in row] == [
            line[one : one + 3] for one in range(0, len(line), channels)
        ]
