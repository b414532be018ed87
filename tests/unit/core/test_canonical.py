"""Attacks on the canonical encoder and on the strict parser, one claim each."""

from __future__ import annotations

import dataclasses
import enum
import tracemalloc
from collections import OrderedDict
from typing import Any, cast

import msgspec
import pytest
import rfc8785

from answerable.core import canonical, json_faults
from answerable.core.canonical import (
    DEPTH_MAX,
    INTEGER_MAX,
    FrozenJSON,
    JSONValue,
    Limits,
    encode,
    encode_ledger,
    freeze,
    parse,
)
from answerable.errors import Malformed


def refusal(attempt: Any, *arguments: Any, **named: Any) -> Malformed:
    """The Malformed that an attempt raises."""
    with pytest.raises(Malformed) as caught:
        attempt(*arguments, **named)
    return caught.value


Text = type("Text", (str,), {})
Number = type("Number", (int,), {})
Members = type("Members", (dict,), {})
Items = type("Items", (list,), {})
Colour = enum.StrEnum("Colour", ["RED"])
Level = enum.IntEnum("Level", ["ONE"])
Record = dataclasses.make_dataclass("Record", [("a", int, 1)])
Struct = msgspec.defstruct("Struct", [("a", int, 1)])

NOT_JSON = [
    (1,), b"a", bytearray(b"a"), {1, 2}, Record(), Struct(), object(), 1j, range(3), iter([1]),
    Text("a"), Number(3), Members(a=1), OrderedDict(a=1), Items([1]), Colour.RED, Level.ONE, msgspec.UNSET,
]  # fmt: skip


# ---- encode


@pytest.mark.parametrize("alien", NOT_JSON, ids=lambda alien: type(alien).__name__)
def test_only_exact_json_types_are_encoded(alien: object) -> None:
    for value in (alien, [alien], {"deep": [{"a": alien}]}):
        assert refusal(encode, value).code == "json.type"


@pytest.mark.parametrize("name", [1, None, True, 1.5, b"a", (1,), Text("a"), Colour.RED])
def test_member_names_are_exact_text(name: object) -> None:
    fault = refusal(encode, {"outer": {name: 1}})
    assert fault.code == "json.name_type"
    assert "`/outer`" in fault.message


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    assert refusal(encode, {"a": [1, number]}).code == "json.not_finite"


@pytest.mark.parametrize(
    "number", [2**53, -(2**53), 2**64, -(2**70), 10**400, float(2**53), -1e16, 1e20, 9007199254740994.0]
)
def test_integral_numbers_beyond_the_exact_range_are_refused_in_every_spelling(number: float) -> None:
    fault = refusal(encode, {"a": [number]})
    assert fault.code == "json.integer_range"
    assert "`/a/0`" in fault.message


@pytest.mark.parametrize("number", [0, -1, INTEGER_MAX, -INTEGER_MAX, True, False])
def test_integers_and_booleans_within_the_exact_range_are_encoded(number: int) -> None:
    assert encode([number]) == rfc8785.dumps([number])


@pytest.mark.parametrize(
    "number",
    [0.0, -0.0, 1.0, -5.0, 1e15, 0.1, -2.5, 1e-5, 9.99e-6, 1e-7, 5e-324, 1e15 + 0.5, 2.0**52 + 0.5, 1e21],
)  # fmt: skip
def test_floats_are_laid_out_as_ecmascript_does(number: float) -> None:
    assert encode({"a": number}) == rfc8785.dumps({"a": number})


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc00\ud800", "\ud83d" + "x"])
def test_lone_surrogates_are_refused_in_text_and_in_names(text: str) -> None:
    assert refusal(encode, ["ok", text]).code == "json.surrogate"
    assert refusal(encode, {"a": {text: 1}}).code == "json.surrogate"
    assert refusal(encode, {"é": 1e-9, "b": text}).code == "json.surrogate"
    assert refusal(encode, {"é": 1e-9, "b": {text: 1}}).code == "json.surrogate"


def test_every_character_is_escaped_as_rfc_8785_says() -> None:
    everything: list[JSONValue] = [chr(code) for code in range(0x3100) if not 0xD800 <= code < 0xE000]
    everything += [
        "\u2028",
        "\u2029",
        "\ufeff",
        "\uffff",
        "\U0001f600",
        "\U0010ffff",
        "\x7f",
        "/",
        "</script>",
    ]
    assert encode(everything) == rfc8785.dumps(everything)
    for character in map(str, everything):
        assert encode({character: character}) == rfc8785.dumps({character: character})


def test_names_are_sorted_by_utf_16_units_not_by_code_points() -> None:
    value: JSONValue = {"\ufb33": 1, "\U0001f602": 2, "é": 3, "z": 4}
    assert encode(value) == '{"z":4,"é":3,"\U0001f602":2,"\ufb33":1}'.encode()
    assert encode({"\U0001f602": 2, "é": "😂", "a": [{"é": 1}]}) == '{"a":[{"é":1}],"é":"😂","😂":2}'.encode()
    assert encode({"text": "😂", "é": 1}) == '{"text":"😂","é":1}'.encode()


def nested(depth: int, *, members: bool = False) -> JSONValue:
    value: JSONValue = {} if members else []
    for _ in range(depth - 1):
        value = {"a": value} if members else [value]
    return value


@pytest.mark.parametrize("members", [False, True])
def test_nesting_is_bounded(members: bool) -> None:
    assert encode(nested(DEPTH_MAX, members=members)) == rfc8785.dumps(nested(DEPTH_MAX, members=members))
    assert refusal(encode, nested(DEPTH_MAX + 1, members=members)).code == "json.depth"
    assert refusal(encode, nested(100_000, members=members)).code == "json.depth"


def test_a_list_that_holds_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert refusal(encode, ring).code == "json.depth"


def test_lists_that_share_lists_cannot_make_the_walk_explode(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (canonical, json_faults):
        monkeypatch.setattr(module, "NODES_MAX", 1_000)
    bomb: list[Any] = ["x"]
    for _ in range(50):
        bomb = [bomb, bomb]
    assert refusal(encode, bomb).code == "json.nodes"
    assert refusal(encode, dict.fromkeys(map(str, range(1_001)), 0)).code == "json.nodes"


def test_the_walk_that_names_faults_visits_everything() -> None:
    visited = [(depth, node) for _, depth, node in json_faults.nodes({"a": [1, {"b": None}]})]
    assert visited == [
        (0, {"a": [1, {"b": None}]}),
        (1, [1, {"b": None}]),
        (2, 1),
        (2, {"b": None}),
        (3, None),
    ]
    assert list(json_faults.nodes(7)) == [(None, 0, 7)]
    assert "`/5`" in refusal(encode, [1.5, 2, "x", None, True, {1}]).message


def test_naming_a_fault_in_a_hostile_text_takes_little_memory() -> None:
    opening = b'{"' + b"n" * 40 + b'":'
    for tail, code in (
        (b"1e20", "json.integer_range"),
        (b"0,!", "json.syntax"),
        (b'{},{"a":1,"a":2}', "json.duplicate_member"),
    ):
        text = opening * 60 + b"[" + b"0," * 40_000 + tail + b"]" + b"}" * 60
        tracemalloc.start()
        fault = refusal(parse, text)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert fault.code == code
        assert peak < 20_000_000


def test_an_error_names_the_place_and_never_the_content() -> None:
    fault = refusal(encode, {"a/b": [{"~secret": "s3cr3t", "x" * 500: {1, 2}}]})
    assert fault.message.startswith("`set` is not a json type: at `/a~1b/0/xxx")
    assert len(fault.message) < 200
    assert "s3cr3t" not in fault.message
    assert refusal(encode, {1, 2}).message == "`set` is not a json type: at the top"


@pytest.mark.parametrize("number", [1.5, 2.0, 1e-9])
def test_a_ledger_record_holds_no_floats(number: float) -> None:
    fault = refusal(encode_ledger, {"a": [0, number]})
    assert fault.code == "json.float"
    assert "`/a/1`" in fault.message


def test_a_ledger_record_is_encoded_as_anything_else() -> None:
    record: JSONValue = {"b": [1, "é", None, True], "a": {"c": "x"}}
    assert encode_ledger(record) == encode(record) == '{"a":{"c":"x"},"b":[1,"é",null,true]}'.encode()


# ---- parse

DUPLICATES = [
    (b'{"a":1,"a":1}', "/a"),
    (b'{"a" :1,"a":2}', "/a"),
    (b'{"a":1,"b":{"c":1},"a":2}', "/a"),
    (b'{"x":[0,{"b":1,"b":2}]}', "/x/1/b"),
    (b'{"a":1,"\\u0061":2}', "/a"),
    (b'{"":1,"":2}', "/"),
    ('{"é":1,"\\u00e9":2}'.encode(), "/é"),
    # An escaped colon in the text is one colon more when written out again: it must not hide the dropped one.
    (b'{"a":1,"a":"\\u003a"}', "/a"),
    (b'{"a":1,"a":"\\u003A"}', "/a"),
    (b'{"a":"\\u003a","b":{"c":1,"c":2}}', "/b/c"),
    (b'{"a":{"b":":"},"a":{"b":"::"}}', "/a"),
    (b'{"a":":","a":"\\u003a:"}', "/a"),
    (b'[{"a":1},{"a":2,"a":3}]', "/1/a"),
    # The dropped member holds the fault.
    (b'{"a":{"b":1,"b":2},"a":3}', "/a"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "where"), DUPLICATES)
def test_a_member_given_twice_is_refused_and_located(text: bytes, where: str) -> None:
    fault = refusal(parse, text)
    assert fault.code == "json.duplicate_member"
    assert f"`{where}`" in fault.message


def test_names_that_differ_are_no_duplicates() -> None:
    assert parse(b'{"a":1,"A":2,"a ":3,"\\u003a":4}') == {"a": 1, "A": 2, "a ": 3, ":": 4}
    assert parse(b'[{"a":"\\u003a:","b":[1,"x"]},{"a":2.5}]') == [{"a": "::", "b": [1, "x"]}, {"a": 2.5}]
    assert parse(b'"\\u003a:"') == "::"
    assert parse(b'{"url":"https://a.example:8443","b":[{"a":1},{"a":":"}]}') == {
        "url": "https://a.example:8443",
        "b": [{"a": 1}, {"a": ":"}],
    }


FAULTS = [
    (b"NaN", "json.not_finite"),
    (b'{"a":[Infinity]}', "json.not_finite"),
    (b"-Infinity", "json.not_finite"),
    (b"1e400", "json.number_range"),
    (b"[-1e400]", "json.number_range"),
    (b"1.7976931348623159e308", "json.number_range"),
    (b"9" * 5000, "json.integer_range"),
    (b"9" * 400, "json.integer_range"),
    (b"9007199254740992", "json.integer_range"),
    (b"-9007199254740992", "json.integer_range"),
    (b"18446744073709551616", "json.integer_range"),
    (b"1e20", "json.integer_range"),
    (b"9007199254740992.0", "json.integer_range"),
    (b'"\xff"', "json.utf8"),
    (b'{"\xc0\x80":1}', "json.utf8"),
    (b'"\xed\xa0\x80"', "json.utf8"),
    (b'"\xf4\x90\x80\x80"', "json.utf8"),
    (b"\xff\xfe1\x00", "json.utf8"),
    (b"\xef\xbb\xbf{}", "json.byte_order_mark"),
    (b'"\\ud800"', "json.surrogate"),
    (b'"\\udc00"', "json.surrogate"),
    (b'"\\ud800abcdefgh"', "json.surrogate"),
    (b'"\\ud800\\ud800"', "json.surrogate"),
    (b'"\\ud800\\u0041"', "json.surrogate"),
    (b'{"a":{"\\udfff":1}}', "json.surrogate"),
    (b'["x",{"\\ud800":1}]', "json.surrogate"),
    (b"1 2", "json.trailing"),
    (b"{}{}", "json.trailing"),
    (b"null\x00", "json.trailing"),
    (b"", "json.syntax"),
    (b" ", "json.syntax"),
    (b"\x00", "json.syntax"),
    (b"\x0b1", "json.syntax"),
    (b'"\x01"', "json.syntax"),
    (b'"a\nb"', "json.syntax"),
    (b'"a', "json.syntax"),
    (b'"\\x41"', "json.syntax"),
    (b'"\\u00zz"', "json.syntax"),
    (b"01", "json.syntax"),
    (b"1.", "json.syntax"),
    (b".5", "json.syntax"),
    (b"+1", "json.syntax"),
    (b"[1,]", "json.syntax"),
    (b'{"a":1,}', "json.syntax"),
    (b"{1:2}", "json.syntax"),
    (b"{'a':1}", "json.syntax"),
    (b"/**/1", "json.syntax"),
    (b"True", "json.syntax"),
    (b"1\x002\x00", "json.trailing"),
    (b"[" * 65 + b"]" * 65, "json.depth"),
    (b'{"a":' * 65 + b"1" + b"}" * 65, "json.depth"),
    (b"[" * 100_000, "json.depth"),
    (b'{"a":' * 100_000, "json.depth"),
]


@pytest.mark.parametrize(("text", "code"), FAULTS, ids=lambda part: repr(part[:24]))
def test_what_is_not_strict_json_is_refused_by_name(text: bytes, code: str) -> None:
    fault = refusal(parse, text)
    assert fault.code == code
    assert "\n" not in fault.message
    assert len(fault.message) < 200


def test_a_syntax_fault_says_at_which_byte() -> None:
    assert refusal(parse, b'{"a":1 "b":2}').message.endswith(": at byte 7")
    assert refusal(parse, b'["ok","\xc3("]').message == "json text is not utf-8: at byte 7"
    assert refusal(parse, b"[1,NaN]").message == "number is not finite: at byte 3"


def test_a_refused_text_with_thousands_of_open_lists_and_a_fault_raises_nothing_else() -> None:
    assert refusal(parse, b"[" * 500 + b"!").code == "json.syntax"


def test_size_and_depth_limits_are_the_callers() -> None:
    assert parse(b"[[1]]", limits=Limits(depth_max=2, size_bytes_max=5)) == [[1]]
    assert refusal(parse, b"[[1]]", limits=Limits(depth_max=1)).code == "json.depth"
    assert refusal(parse, b"[[1]]", limits=Limits(size_bytes_max=4)).code == "json.size"
    assert parse(b"1", limits=Limits(depth_max=0)) == 1


@pytest.mark.parametrize("bad", [{"depth_max": 65}, {"depth_max": -1}, {"size_bytes_max": 0}])
def test_limits_cannot_promise_more_than_the_encoder_takes(bad: dict[str, int]) -> None:
    assert refusal(Limits, **bad).code == "json.limits"


def test_valid_text_of_every_kind_is_read() -> None:
    text = b' {"a":[1,-0,1.5,1E3,true,false,null,"\\u00e9\\ud83d\\ude00\\n\\/"],"":{},"b":[]} '
    assert parse(text) == {"a": [1, 0, 1.5, 1000.0, True, False, None, "é😀\n/"], "": {}, "b": []}


# ---- freeze


def test_changing_the_original_does_not_change_what_was_frozen() -> None:
    value: dict[str, Any] = {"amount": 100, "to": ["a"]}
    frozen = freeze(value)
    before = frozen.bytes
    value["amount"] = 1_000_000
    value["to"].append("thief")
    assert frozen.bytes == before == b'{"amount":100,"to":["a"]}'
    assert frozen.thaw() == {"amount": 100, "to": ["a"]}


def test_changing_a_thawed_copy_changes_no_other() -> None:
    frozen = freeze({"to": ["a"]})
    cast("Any", frozen.thaw())["to"].append("thief")
    assert frozen.thaw() == {"to": ["a"]}


def test_a_frozen_value_cannot_be_assigned_to() -> None:
    frozen = freeze({"a": 1})
    for name in ("bytes", "digest"):
        with pytest.raises(AttributeError):
            setattr(frozen, name, b"x")


def test_frozen_values_are_equal_by_their_bytes() -> None:
    one, same, other = freeze({"b": 1, "a": 2}), freeze({"a": 2, "b": 1}), freeze({"a": 2})
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one.digest == same.digest != other.digest
    assert one.hex == "d3626ac30a87e6f7a6428233b3c68299976865fa5508e4267c5415c76af7a772"


def test_the_repr_of_a_frozen_value_does_not_show_its_content() -> None:
    assert "s3cr3t" not in repr(freeze({"password": "s3cr3t"}))


def test_stored_bytes_are_taken_back_only_in_canonical_form() -> None:
    frozen = freeze({"b": [1.5, "é"], "a": 1e21})
    assert FrozenJSON.from_canonical(frozen.bytes) == frozen
    for other in (b'{"b":1,"a":2}', b'{ "a":1}', b'{"a":1.0}', b'{"a":"\\u0041"}', b"1e21"):
        assert refusal(FrozenJSON.from_canonical, other).code == "json.not_canonical"
    assert refusal(FrozenJSON.from_canonical, b'{"a":1,"a":1}').code == "json.duplicate_member"
    assert refusal(FrozenJSON.from_canonical, b"[]", limits=Limits(depth_max=0)).code == "json.depth"
