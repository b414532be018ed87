"""Arguments that lie deep in what a tool takes, under names of their own."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.registry.documents.capability import ArgumentMapping
from answerable.core.registry.documents.pointing import POINTER, VALUES_MAX, named_arguments, value_at

pytestmark = pytest.mark.requirement("TOOL-12")

SENT: Any = {
    "payment": {"amount": 12, "a/b": {"~": "x"}},
    "to": [{"email": "a@x.example"}, {"email": "b@x.example"}],
    "groups": [{"to": ["a", "b"]}, {"to": ["c"]}],
    "none": None,
    "text": "plain",
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/payment/amount", 12),
        ("/payment/a~1b/~0", "x"),
        ("/to/1/email", "b@x.example"),
        ("/to/*/email", ["a@x.example", "b@x.example"]),
        ("/groups/*/to/*", ["a", "b", "c"]),
        ("/groups/*/to", [["a", "b"], ["c"]]),
        ("/payment/fee", None),
        ("/none/deep/er", None),
        ("/nothing/*/x", None),
        ("/to/7/email", None),
    ],
)
def test_a_pointer_says_one_place_or_every_item_of_a_list(pointer, value):
    assert POINTER.fullmatch(pointer)
    assert value_at(SENT, pointer) == value


@pytest.mark.parametrize("pointer", ["/text/deep", "/text/*", "/payment/*/x", "/to/01/email", "/to/x"])
def test_what_is_there_in_another_shape_fits_no_type_and_is_not_called_absent(pointer):
    assert value_at(SENT, pointer) == [None]


def test_no_item_is_passed_over():
    assert value_at({"to": [{"email": "a"}, {}, "c"]}, "/to/*/email") == ["a", None, [None]]
    assert value_at({"to": [{}] * (VALUES_MAX + 1)}, "/to/*/email") == [None]


@pytest.mark.parametrize("text", ["", "amount", "/", "/a~2", "//a", "/a" * 17])
def test_what_is_no_pointer_is_none(text):
    assert not POINTER.fullmatch(text)


def test_a_name_with_a_pointer_hides_a_member_that_is_called_so_at_the_top():
    mapping = ArgumentMapping(name="amount", type="integer", pointer="/payment/amount")
    assert named_arguments([mapping], {"amount": 1, "payment": {"amount": 99}})["amount"] == 99
    assert "amount" not in named_arguments([mapping], {"amount": 1, "payment": {}})
    plain = ArgumentMapping(name="amount", type="integer")
    assert named_arguments([plain], {"amount": 1}) == {"amount": 1}
