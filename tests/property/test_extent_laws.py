"""Laws of what is told of a JSON text before it is parsed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.json_extent import check_extent
from answerable.errors import Malformed

TEXTS = st.text(alphabet=st.sampled_from('ab,[]{}:"\\é\n\U0001f600'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inside: st.lists(inside, max_size=6) | st.dictionaries(TEXTS, inside, max_size=6),
    max_leaves=30,
)


def members(value: Any) -> int:
    """Members and items in all; an empty object or array counts as one more."""
    if isinstance(value, dict):
        return sum(1 + members(one) for one in value.values()) if value else 1
    if isinstance(value, list):
        return sum(1 + members(one) for one in value) if value else 1
    return 0


def refused(text: bytes, most: int) -> bool:
    try:
        check_extent(text, most)
    except Malformed as fault:
        return fault.code == "json.nodes"
    return False


@pytest.mark.requirement("NEIGHBOUR-03")
@given(value=VALUES, escaped=st.booleans(), spaces=st.booleans())
def test_a_text_is_refused_exactly_when_it_holds_more(value, escaped, spaces):
    text = json.dumps(value, ensure_ascii=escaped, indent=1 if spaces else None).encode()
    count = members(value)
    assert not refused(text, max(count, 1))
    if count > 1:
        assert refused(text, count - 1)


@pytest.mark.requirement("NEIGHBOUR-03")
@given(text=st.binary(max_size=200), most=st.integers(1, 50))
def test_any_bytes_are_told_of(text, most):
    refused(text, most)
