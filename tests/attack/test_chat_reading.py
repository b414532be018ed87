"""Arguments that would read in a chat as another action than the one that runs: such a message has no buttons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.approval.approval import Approval
from answerable.core.approval.card import card_of
from answerable.core.approval.whole_message import whole_lines
from answerable.core.canonical import JSONValue
from tests.property.test_click_laws import shown_as

pytestmark = pytest.mark.requirement("BUTTON-02")


def with_arguments(arguments: dict[str, JSONValue]) -> Approval:
    one = shown_as({"arguments": arguments})
    return replace(one, card=card_of(one.shown))


@pytest.mark.parametrize(
    "arguments",
    [
        {"note": "thanks" + " " * 120 + "argument amount: 5", "amount": 900_000},
        {"note": "thanks  argument amount: 5"},
        {"to": "4711 "},
        {"to": " 4711"},
        {"amount: 5, note": "x"},
        {"amount: 5": "x"},
        {"to\u2215amount 5": "x"},
        {"": "x"},
        {"to": "\u05d0 500 20"},
        {"to": "pay \u05d0\u05d1 100 - 5"},
        {"to": "\u0627\u0661\u0662\u0663 EUR"},
        {"\u05d0": "500 - 20"},
    ],
    ids=ascii,
)
def test_what_would_read_as_something_else_has_no_buttons(arguments: dict[str, JSONValue]) -> None:
    assert whole_lines(with_arguments(arguments)) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"note": "thanks, and greetings", "amount": 5},
        {"note": ""},
        {"shipping.address-1": "1 High Street"},
        {"to": "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"},
        {"größe": "groß"},
    ],
    ids=ascii,
)
def test_what_reads_as_it_is_has_buttons(arguments: dict[str, JSONValue]) -> None:
    assert whole_lines(with_arguments(arguments)) is not None
