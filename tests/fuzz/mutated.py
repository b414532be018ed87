"""Bytes near valid ones: parts cut out, doubled, moved, replaced by what parsers stumble over, or taken from others."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

PIECES = (
    b"\n",
    b"\n\n",
    b" ",
    b"=",
    b"+",
    b"-1",
    b"0",
    b"9" * 20,
    b"9" * 5_000,
    b"1e400",
    b"\x00",
    b"\xff",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"[" * 3_000,
    b'{"a":' * 1_500,
    b'"\\ud800"',
    "— ".encode(),
    "\u2028".encode(),
    b"\xc0\xaf",
    b"none",
    b"null",
    b"/../",
)


def mutants(samples: Sequence[bytes], chance: random.Random) -> Iterator[bytes]:
    """Without an end: now and then one of the samples itself, or nothing like them."""
    yield from samples
    yield b""
    while True:
        if chance.random() < 0.02:
            yield chance.randbytes(chance.randrange(200))
            continue
        made = chance.choice(samples)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
            made = _changed(made, samples, chance)
        yield made


def _changed(made: bytes, samples: Sequence[bytes], chance: random.Random) -> bytes:
    low = chance.randint(0, len(made))
    high = min(len(made), low + chance.choice((0, 1, 1, 4, 32, len(made))))
    way = chance.randrange(8)
    if way == 0 and made:
        at = min(low, len(made) - 1)
        return made[:at] + bytes([made[at] ^ 1 << chance.randrange(8)]) + made[at + 1 :]
    if way == 1:
        return made[:low] + made[high:]
    if way == 2:
        return made[:high] + made[low:high] + made[high:]
    if way == 3:
        return made[:low]
    if way == 4:
        other = chance.choice(samples)
        start = chance.randint(0, len(other))
        return made[:low] + other[start : start + chance.randint(1, 64)] + made[high:]
    if way == 5:
        return made[:low] + chance.randbytes(chance.randint(1, 8)) + made[high:]
    if way == 6 and len(made) >= 4:
        # A length or a number, as binary formats have them.
        size = chance.choice((1, 2, 4, 8))
        number = chance.choice((0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1))
        return made[:low] + (number & (1 << 8 * size) - 1).to_bytes(size, "big") + made[low + size :]
    return made[:low] + chance.choice(PIECES) + made[high:]
