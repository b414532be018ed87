"""Lines about what an action would do: each member that is known, everything else by its name, and never an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.approval.card import card_of, is_card_of
from answerable.core.approval.effect_lines import (
    LINES_MAX,
    SHOWN_CHARS_MAX,
    bounded,
    destination_lines,
    result_lines,
)
from answerable.testing.samples import action_shown

KNOWN: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "rows": ({"rows": 1204}, [("rows", "1,204")]),
    "an estimate": ({"rows": 0, "estimate": True}, [("rows", "about 0 (an estimate, not a count)")]),
    "no estimate": ({"rows": 5, "estimate": "yes"}, [("rows", "5")]),
    "no whole rows": ({"rows": 1.5}, [("says", '"rows": 1.5')]),
    "money": ({"amount": {"minor": 500000, "currency": "EUR"}}, [("amount", "EUR 5,000.00")]),
    "money back": ({"amount": {"minor": -1, "currency": "JPY"}}, [("amount", "-JPY 1")]),
    "money as text": ({"amount": "5 EUR"}, [("says", '"amount": "5 EUR"')]),
    "no amount of money": (
        {"amount": {"minor": True, "currency": "EUR"}},
        [("says", '"amount": {"currency":"EUR","minor":true}')],
    ),
    "no money that is known": (
        {"amount": {"minor": 1, "currency": "euro"}},
        [("says", '"amount": {"currency":"euro","minor":1}')],
    ),
    "recipients": ({"recipients": ["a", "b"]}, [("recipients", '2: "a", "b"')]),
    "nobody": ({"recipients": []}, [("recipients", "none")]),
    "many": (
        {"recipients": [str(number) for number in range(21)]},
        [("recipients", "21: " + ", ".join(f'"{number}"' for number in range(20))), ("left out", "1 more")],
    ),
    "a recipient that is none": ({"recipients": [1]}, [("says", '"recipients": [1]')]),
    "changes": (
        {"diff": [{"path": "/plan", "before": "Free", "after": None}]},
        [("change", '"/plan": "Free" → null')],
    ),
    "no changes": ({"diff": [{"before": 1}]}, [("says", '"diff": [{"before":1}]')]),
    "neither": ({"diff": 7}, [("says", '"diff": 7')]),
    "a unified diff": ({"diff": "-a\n+b"}, [("diff", '"-a"'), ("diff", '"+b"')]),
    "an empty diff": ({"diff": ""}, [("diff", '""')]),
    "what is now": (
        {"present": {"limit": 100, "name": "x", "since": "2020"}},
        [("change", '"limit": 100 → 250'), ("no change", '"name": "x"'), ("says", '"since": "2020"')],
    ),
    "nothing now": ({"present": 3}, [("says", '"present": 3')]),
    "true is not 1": ({"present": {"one": True}}, [("change", '"one": true → 1')]),
}


@pytest.mark.parametrize("what", KNOWN)
def test_what_a_tool_says_is_told_under_our_labels(what):
    structured, lines = KNOWN[what]
    arguments: Any = {"limit": 250, "name": "x", "one": 1}
    assert list(result_lines({"structuredContent": structured}, arguments)) == lines


def test_an_answer_without_structure_is_told_line_by_line_and_pictures_are_named():
    blocks: list[Any] = [
        {"type": "text", "text": "one\ntwo"},
        {"type": "image", "data": "x"},
        "odd",
        {"type": "text", "text": "x" * (SHOWN_CHARS_MAX + 5)},
    ]
    lines = result_lines({"content": blocks}, {})
    assert lines[:4] == (
        ("says", '"one"'),
        ("says", '"two"'),
        ("left out", 'content of type "image"'),
        ("left out", 'content of type "None"'),
    )
    assert lines[-1] == ("left out", "5 more characters")
    assert result_lines({"content": "none"}, {}) == ()
    assert result_lines({}, {}) == ()


def test_places_are_counted_where_there_are_several():
    assert destination_lines(()) == ()
    assert destination_lines(("a@x.example",)) == ()
    assert destination_lines(("a", "b")) == (("goes to", '2: "a", "b"'),)


def test_all_of_the_first_twenty_are_named_however_long_they_are_and_a_very_long_one_is_cut():
    names = [f"{number:02}{'x' * 40}@example.com" for number in range(20)]
    lines = result_lines({"structuredContent": {"recipients": names}}, {})
    assert len(lines) > 1
    assert {label for label, _ in lines} == {"recipients"}
    assert all(f'"{one}"' in " ".join(text for _, text in lines) for one in names)
    ((_, text),) = result_lines({"structuredContent": {"recipients": ["y" * 500]}}, {})
    assert text == f'1: "{"y" * 80}…"'


def test_what_there_is_no_room_for_is_counted():
    assert bounded([("says", "x")] * (LINES_MAX + 2), more=3)[-1] == (
        "left out",
        "5 more lines, for which there is no room",
    )
    ((_, cut),) = bounded([("says", "x" * 1000)])
    assert cut.endswith("… (700 more characters)")


def test_labels_and_texts_together_fill_the_room_of_a_card_and_no_more():
    line = ("says", "x" * 300)
    *kept, left = bounded([line] * LINES_MAX)
    assert kept == [line] * (SHOWN_CHARS_MAX // len("".join(line)))
    assert left == ("left out", f"{LINES_MAX - len(kept)} more lines, for which there is no room")


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(["rows", "estimate", "amount", "recipients", "diff", "present", "x"])


@given(st.dictionaries(MEMBERS, JSON, max_size=7), st.dictionaries(st.text(max_size=5), JSON, max_size=3))
def test_whatever_it_says_the_card_can_be_drawn_in_bounds(structured, arguments):
    lines = result_lines({"structuredContent": structured}, arguments)
    shown = action_shown("a-1", {"amount": 1})
    card = card_of(shown, preview=lines)
    assert is_card_of(card, shown)
    assert len(lines) <= LINES_MAX + 1
    assert len(card.bytes) - len(card_of(shown).bytes) < 5 * SHOWN_CHARS_MAX
