"""Reading a field: whatever it holds, what is read is of the kind asked for, and what does not fit is one fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.canonical import JSONValue
from answerable.core.registry.documents.fields import Fault, Fields

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
OPTIONS = ("read", "write")


def read(value: JSONValue, reader: Callable[[Fields], Any]) -> tuple[Any, list[str]]:
    """What a reader of the field `x` makes of a mapping, with the codes of all faults."""
    faults: list[Fault] = []
    found = reader(Fields(value, known=("x",), document=0, path="", faults=faults))
    return found, [one.code for one in faults]


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    return type(value) is int and 3 <= value <= 7


@pytest.mark.parametrize(
    ("reader", "fits"),
    [
        (lambda one: one.text("x"), is_text),
        (lambda one: one.integer("x", minimum=3, maximum=7), is_number),
        (lambda one: one.integer("x", minimum=3, maximum=7, default=5), is_number),
        (lambda one: one.flag("x", default=True), lambda value: type(value) is bool),
        (lambda one: one.choice("x", OPTIONS), lambda value: value in OPTIONS),
        (lambda one: one.items("x"), lambda value: type(value) is tuple),
        (lambda one: one.texts("x"), lambda value: type(value) is tuple and all(map(is_text, value))),
        (lambda one: one.pairs("x"), lambda value: type(value) is tuple),
        (lambda one: one.section("x", ("y",)), lambda value: isinstance(value, Fields)),
        (lambda one: one.sections("x", ()), lambda value: type(value) is list),
    ],
)
@given(value=JSON)
def test_what_is_read_of_a_field_is_of_its_kind_whatever_it_holds(
    value: JSONValue, reader: Callable[[Fields], Any], fits: Callable[[Any], bool]
) -> None:
    assert fits(read({"x": value}, reader)[0])
    assert fits(read({}, reader)[0])
    assert fits(read(value, reader)[0])


@pytest.mark.parametrize(
    ("value", "number", "faults"),
    [
        ({"x": 3}, 3, []),
        ({"x": 7}, 7, []),
        ({"x": 2}, 3, ["document.range"]),
        ({"x": 8}, 3, ["document.range"]),
        ({"x": "5"}, 3, ["document.type"]),
        ({"x": True}, 3, ["document.type"]),
        ({"x": None}, 3, ["document.type"]),
        ({}, 3, ["document.missing"]),
        ([], 3, ["document.type"]),
    ],
)
def test_in_place_of_a_number_that_does_not_fit_stands_the_least(
    value: JSONValue, number: int, faults: list[str]
) -> None:
    assert read(value, lambda one: one.integer("x", minimum=3, maximum=7)) == (number, faults)
