"""RFC 8785 vectors of cyberphone/json-canonicalization: six documents and the numbers of ECMAScript."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from answerable.core.canonical import FrozenJSON, encode, freeze, parse
from answerable.errors import Malformed


@pytest.mark.requirement("JSON-01")
@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_every_document_is_canonicalised_to_the_published_bytes(
    vector_set: Callable[[str], Path], name: str
) -> None:
    directory = vector_set("json-canonicalization")
    expected = (directory / "output" / f"{name}.json").read_bytes()
    value = parse((directory / "input" / f"{name}.json").read_bytes())
    assert encode(value) == expected == bytes.fromhex((directory / "outhex" / f"{name}.txt").read_text())
    assert encode(parse(expected)) == expected
    assert freeze(value) == FrozenJSON.from_canonical(expected)


def doubles(numbers: dict[str, Any], count: int) -> Iterator[tuple[int, float]]:
    """The first numbers of the published sequence, as bits and as values."""

    def from_bits(bits: int) -> tuple[int, float]:
        return bits, struct.unpack("<d", bits.to_bytes(8, "little"))[0]

    sequence = numbers["sequence"]
    for hexed in sequence["1_static_ieee754_hex"][:count]:
        count -= 1
        yield from_bits(int(hexed, 16))
    serial = sequence["2_serial"]
    for offset in range(min(serial["count"], count)):
        count -= 1
        yield from_bits(int(serial["start_hex"], 16) + offset * serial["step"])
    state = bytes(32)
    while count:
        state = sha256(state).digest()
        for bits, number in (
            from_bits(int.from_bytes(state[at : at + 8], "little")) for at in range(0, 32, 8)
        ):
            if count and number and abs(number) < float("inf"):
                count -= 1
                yield bits, number


def printed(number: float) -> bytes:
    """What `encode` prints; what it refuses, for being beyond the exact integers, the reference prints instead."""
    try:
        return encode(number)
    except Malformed as fault:
        if fault.code != "json.integer_range" or not 2**53 <= abs(number) < 1e21:
            raise
        return rfc8785.dumps(number)


@pytest.mark.requirement("JSON-01")
def test_every_number_sample_is_printed_as_published(vector_set: Callable[[str], Path]) -> None:
    numbers = json.loads((vector_set("json-canonicalization") / "es6_numbers.json").read_text())
    for sample in numbers["samples"]:
        (number,) = struct.unpack(">d", bytes.fromhex(sample["ieee754_hex"].rjust(16, "0")))
        assert printed(number) == sample["expected"].encode()


@pytest.mark.requirement("JSON-01")
def test_ten_thousand_numbers_have_the_published_digest(vector_set: Callable[[str], Path]) -> None:
    numbers = json.loads((vector_set("json-canonicalization") / "es6_numbers.json").read_text())
    for expected in numbers["sha256_of_first_lines"][:2]:
        digest = sha256()
        for bits, number in doubles(numbers, expected["lines"]):
            digest.update(f"{bits:x},{printed(number).decode()}\n".encode())
        assert digest.hexdigest() == expected["sha256"]
