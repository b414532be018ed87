"""Which known name was meant."""

from __future__ import annotations

import pytest

from answerable.core.registry.look_alike import meant, skeleton

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
