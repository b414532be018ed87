"""Words in pointers: what they take, and that what they cannot take fits no type."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.registry.documents.capability import ArgumentMapping
from answerable.core.registry.documents.pointing import VALUES_MAX, value_at, with_changed, word_fault

pytestmark = pytest.mark.requirement("PREPARE-04")
MISFIT = [None]
LINES = '{"lines":[{"n":1,"k":"a"},{"n":41,"k":"a"}],"none":[],"deep":"{\\"x\\":7}","null":null}'

FOUND: dict[str, Any] = {
    "/t/{json}/lines/*/n/{sum}": 42,
    "/t/{json}/lines/*/n/{largest}": 41,
    "/t/{json}/lines/{count}": 2,
    "/t/{json}/lines/*/k/{same}": "a",
    "/t/{json}/lines/*/n/{same}": MISFIT,
    "/t/{json}/lines/*/k/{sum}": MISFIT,
    "/t/{json}/none/{sum}": 0,
    "/t/{json}/none/{largest}": 0,
    "/t/{json}/none/{count}": 0,
    "/t/{json}/none/{same}": MISFIT,
    "/t/{json}/deep/{json}/x": 7,
    "/t/{json}/absent/{sum}": None,
    "/t/{json}/null/{sum}": None,
    "/t/{json}/deep/{count}": MISFIT,
    "/t/{json}/lines/0/n/{sum}": MISFIT,
    "/u/{json}/x": MISFIT,
    "/n/{json}/x": MISFIT,
    "/twice/{json}/x": MISFIT,
    "/big/{json}/x": MISFIT,
    "/absent/{json}/x": None,
    "/objects/*/t/{json}/x": [1, 2],
    "/objects/*/t/{json}/x/{sum}": 3,
}


@pytest.mark.parametrize("pointer", FOUND)
def test_a_word_takes_what_it_says(pointer):
    value: Any = {
        "t": LINES, "u": "{", "n": 7, "twice": '{"x":1,"x":1}', "big": '{"x":99999999999999999999}',
        "objects": [{"t": '{"x":1}'}, {"t": '{"x":2}'}],
    }  # fmt: skip
    assert value_at(value, pointer) == FOUND[pointer]


@pytest.mark.parametrize(
    "items", [[1, None], [1, -1], [1, True], [1, 1.5], [1, "1"], [2**53 - 1, 1], [0] * (VALUES_MAX + 1)]
)
def test_what_cannot_be_added_fits_no_type(items):
    assert value_at({"a": items}, "/a/{sum}") == MISFIT


def test_same_does_not_take_true_for_one():
    assert value_at({"a": [1, True]}, "/a/{same}") == MISFIT
    assert value_at({"a": [None, None]}, "/a/{same}") == MISFIT
    assert value_at({"a": [[], []]}, "/a/{same}") == MISFIT


@pytest.mark.parametrize(
    ("pointer", "part"),
    [
        ("/a/{sums}", "none of the words"),
        ("/a/{sum}/b", "no step may follow it"),
        ("/{json}/a", "comes after what it is about"),
        ("/a/{json}/b/*/c/{sum}", ""),
        ("/a/b", ""),
        ("/a/{b", ""),
    ],
)
def test_words_that_are_none_are_faults(pointer, part):
    assert (word_fault(pointer) == "") if not part else (part in word_fault(pointer))


@pytest.mark.parametrize("pointer", ["/t/{json}/x", "/a/{sum}", "/a/{count}"])
def test_nothing_is_changed_through_a_word(pointer):
    mapping = ArgumentMapping(name="x", type="integer", pointer=pointer)
    assert with_changed((mapping,), {"t": '{"x":1}', "a": {"{sum}": 1, "{count}": 1}}, {"x": 0}) is None
