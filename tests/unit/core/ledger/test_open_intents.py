"""Which intents are open: those that no end names."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.ledger.head import OpenIntent
from answerable.core.ledger.open_intents import OpenIntents, tag_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed


def leaf(tag: int, **members: object) -> bytes:
    return json.dumps({"tag": tag, "v": 2, **members}).encode()


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([2, 3, 4, 5, 99]), st.integers(0, 30)),
        max_size=40,
    )
)
def test_what_is_open_is_what_was_begun_and_not_ended(steps: list[tuple[int, int]]) -> None:
    opened, expected = OpenIntents(), {}
    for index, (tag, other) in enumerate(steps):
        opened.saw(leaf(tag, intent=other), index, 0, 128 + index)
        if tag == Tag.INTENT:
            expected[index] = OpenIntent(index, 0, 128 + index)
        elif tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            expected.pop(other, None)
    assert opened.all() == tuple(expected.values())
    assert OpenIntents(opened.all()).all() == opened.all()


@pytest.mark.parametrize("intent", [None, "0", [0], {"entry": 0}, 0.0, True])
def test_an_end_that_names_no_index_ends_nothing(intent: object) -> None:
    opened = OpenIntents([OpenIntent(0, 0, 128), OpenIntent(1, 0, 128)])
    opened.saw(leaf(Tag.OUTCOME, intent=intent), 2, 0, 128)
    opened.saw(leaf(Tag.OUTCOME), 3, 0, 128)
    assert len(opened.all()) == 2


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"tag":"2"}', b"\xff", b"[" * 10_000])
def test_what_is_no_leaf_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        OpenIntents().saw(content, 0, 0, 128)
    with pytest.raises(Malformed):
        tag_of(content)


def test_the_tag_of_a_leaf_is_read_whatever_else_is_in_it() -> None:
    assert tag_of(leaf(77, intent={"deep": [1]}, more="x")) == 77
