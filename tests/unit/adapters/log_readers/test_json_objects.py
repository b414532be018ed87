"""Objects of JSON files, one a line or all in one array."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest

from answerable.adapters.log_readers import json_objects

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

ONE: dict[str, Any] = {"a": 'x},{"a":"y\\', "b": [{"a": 1}, []]}
TWO: dict[str, Any] = {"eventVersion": "1.08", "ü": "\n{"}
DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000


def read(text: str | bytes, chars_max: int = 1_000, read_bytes: int = 7) -> list[dict[str, Any] | None]:
    octets = text.encode() if isinstance(text, str) else text
    found = [*json_objects(io.BytesIO(octets), chars_max=chars_max, read_bytes=read_bytes)]
    assert [one.number for one in found] == [*range(1, len(found) + 1)]
    return [one.value for one in found]


@pytest.mark.parametrize("read_bytes", [1, 7, 100_000])
@pytest.mark.parametrize(
    "text",
    [
        f"{json.dumps(ONE)}\n{json.dumps(TWO)}",
        f"{json.dumps(ONE)}\r\n{json.dumps(TWO, ensure_ascii=False)}\r\n",
        json.dumps({"Records": [ONE, TWO]}, separators=(",", ":")),
        json.dumps({"Records": [ONE, TWO]}, indent=2),
        json.dumps([ONE, TWO], indent="\t"),
        '{"Records":[]}' + json.dumps({"Records": [ONE]}) + json.dumps({"Records": [TWO]}),
        f"\ufeff{json.dumps([ONE, TWO])}",
    ],
)
def test_the_objects_are_read_whatever_stands_in_their_texts(text: str, read_bytes: int) -> None:
    assert read(text, read_bytes=read_bytes) == [ONE, TWO]
    assert read("") == read(" \n[]") == read('{"Records": [ ]}') == []


@pytest.mark.parametrize(
    "broken",
    [
        "nonsense",
        json.dumps(ONE)[:-3],
        '{"a": tru}',
        '{"a": "x',
        '{"a": "x\\',
        '{"a":' + "9" * 5_000 + "}",
        "{",
    ],
)
def test_a_broken_line_is_one_and_the_next_is_read(broken: str) -> None:
    for read_bytes in (7, 1_000_000):
        assert read(f"{broken}\n{json.dumps(TWO)}\n", read_bytes=read_bytes) == [None, TWO]
        assert read(f"{json.dumps(TWO)}\n{broken}", read_bytes=read_bytes) == [TWO, None]


@pytest.mark.parametrize("inner", ['"' + "x" * 5_000 + '\\"}"', '[{"a":1},' + json.dumps(TWO) * 400 + "]"])
def test_an_object_that_is_too_long_or_too_deep_hides_no_other_and_nothing_in_it_is_one(inner: str) -> None:
    inner = inner.replace("}{", "},{")
    long = f'{{"a":{inner}}}'
    for read_bytes in (7, 5_000):
        found = read(f'{{"Records":[{json.dumps(ONE)},{long},{json.dumps(TWO)}]}}', read_bytes=read_bytes)
        assert found == [ONE, None, TWO]


def test_an_object_that_is_too_deep_hides_no_other() -> None:
    found = read(f'{{"Records":[{json.dumps(ONE)},{DEEP},{json.dumps(TWO)}]}}', 10_000_000, 5_000_000)
    assert found == [ONE, None, TWO]
    assert read(f"{DEEP}\n{json.dumps(TWO)}", 10_000_000, 5_000_000) == [None, TWO]


def test_memory_is_bounded_by_the_longest_object_that_is_read() -> None:
    class Endless(io.RawIOBase):
        left = 4_000

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b'{"a":"' + b"x" * 900 if self.left == 3_999 else b"x" * size if self.left > 0 else b""

    tracemalloc.start()
    try:
        assert [one.value for one in json_objects(Endless(), chars_max=10_000, read_bytes=4_096)] == [None]
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert read(b'{"a": "\xff\xfe"}\n{"b": 1}') == [{"a": "\ufffd\ufffd"}, {"b": 1}]
