"""Laws of canonical JSON: one encoding, a parser that lets nothing else through, frozen means frozen."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.canonical import (
    DEPTH_MAX,
    INTEGER_MAX,
    JSONValue,
    encode,
    encode_ledger,
    freeze,
    freeze_parsed,
    parse,
)
from answerable.errors import Malformed

# Characters where encoders part ways: escapes, colons, both sides of the surrogates, beyond the BMP.
ODD = st.sampled_from('":\\/\x00\x1f\x7f\x80é\u2028\ud7ff\ue000\ufb33\uffff\U00010000\U0001f602\U0010ffff')
CHARACTERS = st.one_of(ODD, st.characters(exclude_categories=["Cs"]))
TEXTS = st.text(CHARACTERS, max_size=8)
NAMES = st.one_of(st.sampled_from(["a", "b", ":", "a:", "é", "\U0001f602", "\ufb33"]), TEXTS)
INTEGERS = st.integers(-INTEGER_MAX, INTEGER_MAX)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not number.is_integer() or abs(number) <= INTEGER_MAX or abs(number) >= 1e21
)


def values(*scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[JSONValue]:
    return st.recursive(
        st.one_of(st.none(), st.booleans(), INTEGERS, TEXTS, *scalars),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
        max_leaves=20,
    )


VALUES = values(FLOATS)


def as_read(value: JSONValue) -> JSONValue:
    """The value as it comes back: RFC 8785 has one spelling for 1 and 1.0."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= INTEGER_MAX else value
    if isinstance(value, list):
        return [as_read(item) for item in value]
    if isinstance(value, dict):
        return {name: as_read(member) for name, member in value.items()}
    return value


def typed(value: JSONValue) -> object:
    """The value with its types spelled out, since Python holds True and 1 and 1.0 for equal."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {name: typed(member) for name, member in value.items()}
    return type(value).__name__, repr(value)


@pytest.mark.requirement("JSON-01")
@given(VALUES)
def test_every_value_has_the_bytes_of_the_reference_encoder(value: JSONValue) -> None:
    assert encode(value) == rfc8785.dumps(value)


@pytest.mark.requirement("JSON-01")
@given(st.floats(), st.integers(-324, 308))
def test_every_float_is_printed_as_ecmascript_does_or_refused(number: float, exponent: int) -> None:
    for candidate in (number, float(f"1.25e{exponent}"), float(f"9.999999999999999e{exponent - 1}")):
        try:
            got = encode(candidate)
        except Malformed as fault:
            got = fault.code.encode()
        assert got in (b"json.not_finite", b"json.integer_range") or got == rfc8785.dumps(candidate)


@pytest.mark.requirement("JSON-01")
@given(values())
def test_a_value_without_floats_is_encoded_alike_for_the_ledger(value: JSONValue) -> None:
    assert encode_ledger(value) == encode(value)


@pytest.mark.requirement("JSON-03")
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_what_was_written_is_read_back(value: JSONValue, ascii_only: bool, indent: int | None) -> None:
    written = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert typed(as_read(parse(written))) == typed(as_read(value))
    canonical = encode(value)
    assert typed(parse(canonical)) == typed(as_read(value))
    assert encode(parse(canonical)) == canonical


@pytest.mark.requirement("JSON-04")
@given(VALUES)
def test_thawing_gives_the_value_back_and_freezes_to_the_same(value: JSONValue) -> None:
    frozen = freeze(value)
    assert typed(frozen.thaw()) == typed(as_read(value))
    assert freeze(frozen.thaw()) == frozen


@pytest.mark.requirement("JSON-04")
@given(VALUES)
def test_what_was_parsed_is_frozen_as_anything_else(value: JSONValue) -> None:
    read = parse(json.dumps(value).encode())
    assert freeze_parsed({"b": read, "a": "x"}) == freeze({"a": "x", "b": value})


def spelled(name: str, escape: bool) -> str:
    return (
        "".join(f"\\u{ord(c):04x}" for c in name)
        if escape and max(name, default="") < "\ud800"
        else json.dumps(name)[1:-1]
    )


@st.composite
def objects_with_a_duplicate(draw: st.DrawFn) -> str:
    """An object of a few members, somewhere inside a value, in which one name is given twice."""
    pairs = draw(st.lists(st.tuples(NAMES, values()), min_size=1, max_size=4))
    name, _ = draw(st.sampled_from(pairs))
    pairs.insert(draw(st.integers(0, len(pairs))), (name, draw(values())))
    gap = draw(st.sampled_from(["", " ", "\n"]))
    members = ",".join(
        f'"{spelled(key, draw(st.booleans()))}"{gap}:{json.dumps(member)}' for key, member in pairs
    )
    around = draw(st.sampled_from(["{%s}", '[":",{%s}]', '{"a":{%s},"b":"\\u003a:"}', '{":":[{%s}]}']))
    return around % members


@pytest.mark.requirement("JSON-02")
@given(objects_with_a_duplicate())
def test_a_duplicate_is_found_wherever_and_however_it_is_spelled(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(text.encode())
    assert caught.value.code == "json.duplicate_member"


def strict_reference(data: bytes) -> object:
    """The same rules in the slow and obvious way, on the standard parser. Raises ValueError."""

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("duplicate")
        return dict(pairs)

    def constant(name: str) -> object:
        raise ValueError(name)

    value = json.loads(data.decode(), object_pairs_hook=members, parse_constant=constant)
    rfc8785.dumps(value)

    def check(node: object, depth: int) -> None:
        if isinstance(node, list | dict):
            if depth == DEPTH_MAX:
                raise ValueError("depth")
            for inner in node.values() if isinstance(node, dict) else node:
                check(inner, depth + 1)
        elif isinstance(node, float) and node.is_integer() and INTEGER_MAX < abs(node) < 1e21:
            raise ValueError("integer")

    check(value, 0)
    return value


FRAGMENTS = st.sampled_from(
    [
        b"{", b"}", b"[", b"]", b",", b":", b'"', b'"a"', b'"a":', b'"a":1', b'":"', b"\\u003a", b'"\\ud800"', b"\\",
        b"1", b"-0", b"1e5", b"1e400", b"0.1", b"9007199254740992", b"NaN", b"true", b"null", b" ", b"\xff",
        b"\xc3\xa9",
        b"\xef\xbb\xbf", b"\x00", b"[[[[", b"]]]]",
    ]
)  # fmt: skip


@pytest.mark.requirement("JSON-03")
@given(st.one_of(st.binary(max_size=40), st.lists(FRAGMENTS, max_size=12).map(b"".join)))
def test_any_bytes_are_read_as_the_slow_strict_parser_reads_them_or_refused_as_it_refuses(
    data: bytes,
) -> None:
    try:
        value = parse(data)
    except Malformed:
        with pytest.raises(ValueError):
            strict_reference(data)
    else:
        expected: Any = strict_reference(data)
        assert typed(value) == typed(expected)
        assert parse(encode(value)) == value


@pytest.mark.requirement("JSON-03")
@given(VALUES, st.data())
def test_a_damaged_text_raises_nothing_but_malformed(value: JSONValue, data: st.DataObject) -> None:
    text = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(text)))
    for damaged in (bytes(text), bytes(text[:cut])):
        said = ""
        try:
            encode(parse(damaged))
        except Malformed as fault:
            said = fault.message
        assert "\n" not in said
        assert len(said) < 250
