"""Text of others, as it may be shown to somebody who decides by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.approval.visible import hides_something, visible

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay 50 to Müller & 山田", "pay 50 to Müller & 山田"),
        ("invoice\u202egnp.exe", "invoice\\u{202e}gnp.exe"),
        ("a\u200bb", "a\\u{200b}b"),
        ("two\nlines\x1b[2J", "two\\u{a}lines\\u{1b}[2J"),
        ("\u2066hidden\u2069", "\\u{2066}hidden\\u{2069}"),
        ("tag\U000e0041", "tag\\u{e0041}"),
        ("filler\u3164", "filler\\u{3164}"),
        ("variant\ufe0f", "variant\\u{fe0f}"),
        ("no break\u00a0space", "no break\\u{a0}space"),
        ("forged \\u{202e}", "forged \\u{5c}u{202e}"),
        ("e\u0301\u0302\u0303\u0304\u0305", "e\u0301\u0302\u0303\\u{304}\\u{305}"),
    ],
)
def test_what_hides_is_spelled_out(text, shown):
    assert visible(text) == shown
    assert hides_something(text) == (text != shown)


@given(TEXTS)
def test_what_comes_back_prints_on_one_line(text):
    assert visible(text).isprintable()


@given(TEXTS, TEXTS)
def test_two_texts_that_differ_come_back_different(one, other):
    assert (visible(one) == visible(other)) == (one == other)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_plain_text_comes_back_as_it_is(text):
    assert visible(text) == text.replace("\\u{", "\\u{5c}u{")
