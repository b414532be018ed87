"""A picture of a page as a palette PNG (PNG specification, third edition).

Pages have few colours, and their text blends those.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

COLOURS_MAX = 256
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 6: 4}


def smaller(png: bytes) -> bytes:
    """The same picture with at most 256 colours; what is not among the most frequent ones takes the nearest of them.

    Takes what browsers write: 8 bits a channel, RGB or RGBA, not interlaced. Raises ValueError for anything else.
    """
    width, height, channels, packed = _read(png)
    rows = list(_rows(zlib.decompress(packed), width * channels, channels, height))
    pixels = [
        [row[at] << 16 | row[at + 1] << 8 | row[at + 2] for at in range(0, len(row), channels)]
        for row in rows
    ]
    counted = Counter(pixel for row in pixels for pixel in row)
    palette = [colour for colour, _ in counted.most_common(COLOURS_MAX)]
    index = {colour: at for at, colour in enumerate(palette)}
    for colour in counted:
        if colour not in index:
            index[colour] = min(range(len(palette)), key=lambda at: _distance(palette[at], colour))
    body = b"".join(b"\0" + bytes(index[pixel] for pixel in row) for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    colours = b"".join(colour.to_bytes(3, "big") for colour in palette)
    chunks = ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", zlib.compress(body, 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _read(png: bytes) -> tuple[int, int, int, bytes]:
    """Width, height, channels, and the packed lines."""
    packed, at, width, height, kind = b"", len(SIGNATURE), 0, 0, -1
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        content = png[at + 8 : at + 8 + length]
        if name == b"IHDR":
            width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", content)
            if depth != 8 or kind not in _CHANNELS or interlaced:
                raise ValueError("not a picture as browsers write it")
        elif name == b"IDAT":
            packed += content
        at += 12 + length
    return width, height, _CHANNELS[kind], packed


def _rows(raw: bytes, stride: int, step: int, height: int) -> Iterator[bytes]:
    """Lines without their filters (section 9)."""
    above = bytes(stride)
    for number in range(height):
        start = number * (stride + 1)
        how, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for at in range(stride if how else 0):
            left = row[at - step] if at >= step else 0
            corner = above[at - step] if at >= step else 0
            row[at] = (row[at] + _expected(how, left, above[at], corner)) & 255
        above = bytes(row)
        yield above


def _expected(how: int, left: int, up: int, corner: int) -> int:
    if how == 4:
        return min((left, up, corner), key=lambda one: abs(left + up - corner - one))
    return (0, left, up, (left + up) // 2)[how]


def _distance(one: int, other: int) -> int:
    return sum(abs((one >> bits & 255) - (other >> bits & 255)) for bits in (0, 8, 16))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
