"""A token bucket for each name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from answerable.core.identity.names.pace import Pace


def test_a_whole_bucket_goes_at_once_and_then_one_comes_back_at_a_time():
    pace = Pace(600)
    assert [pace.take("a", at=7.0) for _ in range(600)] == [0.0] * 600
    wait = pace.take("a", at=7.0)
    assert 0.09 < wait < 0.11
    assert pace.take("a", at=7.0) == wait
    assert pace.take("a", at=7.0 + wait) == 0.0
    assert pace.take("a", at=7.0 + wait) > 0.0


def test_another_name_is_not_held_up_by_it():
    pace = Pace(1)
    assert pace.take("a", at=0.0) == 0.0
    assert pace.take("a", at=59.0) == 1.0
    assert pace.take("b", at=59.0) == 0.0
    assert pace.take("a", at=60.0) == 0.0


def test_the_name_that_asked_longest_ago_is_forgotten_first():
    pace = Pace(1, names_max=2)
    pace.take("a", at=0.0)
    pace.take("b", at=1.0)
    pace.take("a", at=2.0)
    pace.take("c", at=3.0)
    assert pace.take("a", at=4.0) > 0.0
    assert pace.take("b", at=4.0) == 0.0


@given(
    per_minute=st.integers(1, 50),
    steps=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200),
)
def test_in_any_stretch_there_are_no_more_than_a_bucket_and_what_came_back(per_minute, steps):
    pace, at = Pace(per_minute), 1_000.0
    taken: list[float] = []
    for step in steps:
        at += step
        if pace.take("a", at=at) == 0.0:
            taken.append(at)
    for begin in range(len(taken)):
        for end in range(begin, len(taken)):
            stretch = taken[end] - taken[begin]
            assert end - begin + 1 <= per_minute + stretch * per_minute / 60 + 0.01
