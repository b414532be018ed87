"""Placeholders are replaced once, and every brace is one."""

from __future__ import annotations

import pytest

from answerable.core.registry.documents.placeholders import placeholders_in, replaced
from answerable.errors import Malformed


def test_a_value_that_looks_like_a_placeholder_stays_text():
    assert placeholders_in("{a} and {b_2}") == ("a", "b_2")
    assert replaced("{a} and {b_2}", {"a": "{b_2}", "b_2": "2"}) == "{b_2} and 2"


@pytest.mark.parametrize("text", ["{", "}", "{}", "{a-b}", "{{a}}", "{2}"])
def test_a_stray_brace_is_a_fault(text):
    with pytest.raises(Malformed):
        placeholders_in(text)
