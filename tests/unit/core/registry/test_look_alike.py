"""Which known name was meant."""

from __future__ import annotations

import pytest

from answerable.core.registry.documents.look_alike import disguised, meant, skeleton

KNOWN = ("desk-agent", "pay-agent", "production", "ada", "crm.case-read")


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("Desk-Agent", ("looks like", "desk-agent")),
        ("d\u0435sk-agent", ("looks like", "desk-agent")),
        ("desk_agent", ("looks like", "desk-agent")),
        ("desk\u2011agent", ("looks like", "desk-agent")),
        ("pr0duction", ("looks like", "production")),
        ("crrn.case-read", ("looks like", "crm.case-read")),
        ("dsk-agent", ("near", "desk-agent")),
        ("production-", ("near", "production")),
        ("adda", ("near", "ada")),
        ("aad", ("near", "ada")),
        ("da", ("near", "ada")),
        ("mainframe", None),
        ("", None),
    ],
)
def test_the_known_name_that_a_word_looks_like_or_is_near_is_found(word: str, found):
    assert meant(word, KNOWN) == found


def test_a_long_word_is_cut_before_it_is_compared():
    assert meant("x" * 1_000_000, KNOWN) is None


def test_names_that_are_read_differently_have_other_skeletons():
    assert len({skeleton(name) for name in KNOWN}) == len(KNOWN)


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("r\u0435fund", "\u0435"),
        ("a pay\u03bfut", "\u03bf"),
        ("\uff52efund", "\uff52"),
        ("in\u2010voice", ""),
    ],
)
def test_a_letter_that_is_read_as_a_plain_one_among_plain_ones_is_disguised(text: str, odd: str):
    assert disguised(text) == odd


@pytest.mark.parametrize(
    "text", ["", "plain", "r\u00e9sum\u00e9", "\u0441\u0447\u0451\u0442 invoice", "\u65e5\u672cinvoice"]
)
def test_words_that_people_write_are_not_disguised(text: str):
    assert disguised(text) == ""
