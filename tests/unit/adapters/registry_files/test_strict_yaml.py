"""The part of YAML that documents are written in."""

from __future__ import annotations

import pytest

from answerable.adapters.registry_files.strict_yaml import DEPTH_MAX, load_documents


def only(text):
    documents, faults = load_documents(text)
    assert faults == []
    assert len(documents) == 1
    return documents[0]


def fault_of(text):
    _, faults = load_documents(text)
    assert len(faults) == 1, faults
    return faults[0].line, faults[0].message


def test_plain_values_are_json_values():
    text = (
        "a: text\nb: 12\nc: -3\nd: true\ne: false\nf: null\ng:\nh: [x, 1]\ni: {j: 'k'}\nl: |\n  two\n  lines\n"
        'm: "12"\nn: 2027-01-31\no: 0\np: a:b\nq: v1.5\nr: 9007199254740991\n'
    )
    assert only(text).value == {
        "a": "text",
        "b": 12,
        "c": -3,
        "d": True,
        "e": False,
        "f": None,
        "g": None,
        "h": ["x", 1],
        "i": {"j": "k"},
        "l": "two\nlines\n",
        "m": "12",
        "n": "2027-01-31",
        "o": 0,
        "p": "a:b",
        "q": "v1.5",
        "r": 9007199254740991,
    }


@pytest.mark.parametrize(
    "word",
    "yes Yes YES no No on ON off y N ~ True TRUE False Null NULL = 012 0o17 0x1F 0b1 1_000 1:30 12:30:45 1.5 1e3 .5 +1 "
    ".inf -.Inf .NaN 1. -0 9007199254740992 12345678901234567890".split(),
)
@pytest.mark.requirement("REG-03")
def test_a_scalar_that_readers_take_differently_must_be_quoted(word):
    line, message = fault_of(f"a: 1\nb: {word}\n")
    assert line == 2
    assert f"`{word}`" in message
    assert "quote it" in message
    assert only(f"b: '{word}'").value == {"b": word}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "key `a` is written twice, first on line 1"),
        ("a:\n  b: 1\n  b: {c: 1}\n", 3, "key `b` is written twice, first on line 2"),
        ("a: &x 1\n", 1, "remove `&x`"),
        ("a: !!str 1\n", 1, "tags are not allowed"),
        ("a: !!python/object:os.system x\n", 1, "tags are not allowed"),
        ("a: !x {b: 1}\n", 1, "tags are not allowed"),
        ("1: a\n", 1, "a key must be text"),
        ("? [a, b]\n: c\n", 1, "a key must be text"),
        ("a: 1\n\tb: 2\n", 2, "tab"),
        ("a: [1\nb: 2\n", 2, "not yaml"),
        ("a: 'x\n", 2, "not yaml"),
        ("%YAML 3.0\n---\na: 1\n", 1, "not yaml"),
        ("a: \x00\n", 1, "not yaml"),
        ("a: b: c\n", 1, "not yaml"),
    ],
)
@pytest.mark.requirement("REG-03")
def test_each_fault_names_its_line(text, line, says):
    found_line, message = fault_of(text)
    assert found_line == line
    assert says in message
    assert "\n" not in message


@pytest.mark.requirement("REG-03")
def test_aliases_and_merge_keys_are_refused():
    _, faults = load_documents("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n")
    assert [(fault.line, fault.message) for fault in faults] == [
        (1, "anchors are not allowed: remove `&x`"),
        (2, "aliases are not allowed: write the value out"),
        (4, "`<<` is read differently by different versions of YAML: write true or false, or quote it"),
        (4, "aliases are not allowed: write the value out"),
    ]


def test_a_bomb_of_aliases_expands_to_nothing():
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 9))
    documents, faults = load_documents(f"l0: &l0 x\n{levels}")
    assert len(faults) == 9 + 8 * 9
    assert documents[0].value["l8"] == [None] * 9


@pytest.mark.parametrize("text", ["[" * 40 + "]" * 40, "a: [" + "1," * 100_001 + "1]"])
def test_depth_and_number_of_values_are_bounded(text):
    line, message = fault_of(text)
    assert (line, message) == (1, f"more than 100000 values or {DEPTH_MAX} levels in one file")


def test_several_documents_are_read_and_empty_ones_left_out():
    documents, faults = load_documents("---\na: 1\n---\n---\nb: 2\n...\n---\n# nothing\n")
    assert faults == []
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]
    assert documents[1].lines == {"": 5, "/b": 5}
    assert load_documents("") == ([], [])


def test_coordinates_of_points_are_plain_keys():
    assert only("{x: 1, y: 2, n: 3}").value == {"x": 1, "y": 2, "n": 3}
    assert load_documents("!!str y: 1")[1]
    assert load_documents("&a y: 1")[1]


def test_lines_are_kept_by_json_pointer():
    lines = only("a:\n  b/c:\n    - x\n    - y: 1\n").lines
    assert lines == {"": 1, "/a": 1, "/a/b~1c": 2, "/a/b~1c/0": 3, "/a/b~1c/1": 4, "/a/b~1c/1/y": 4}
