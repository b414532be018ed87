"""When syncs move to a thread and when they come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.tlog_files.pace import Pace
from answerable.adapters.tlog_files.settings import Commit

LIMIT = 0.000_5


def pace(commit: Commit = "auto", median: float = 0.000_1) -> Pace:
    return Pace(commit, median_seconds=median, limit_seconds=LIMIT)


def told(one: Pace, seconds: float, times: int) -> list[bool]:
    found = []
    for _ in range(times):
        one.took(seconds)
        found.append(one.inline)
    return found


def test_a_measurement_at_the_start_decides_first() -> None:
    assert pace(median=0.000_4).inline
    assert not pace(median=0.000_6).inline


def test_a_disk_that_becomes_slow_loses_the_loop_and_one_that_recovers_gets_it_back() -> None:
    one = pace()
    slow = told(one, 0.005, 60)
    assert slow[-1] is False
    assert slow.index(False) < 20
    quick = told(one, 0.000_1, 100)
    assert quick[-1] is True
    assert quick.index(True) < 60


def test_a_disk_that_hangs_loses_the_loop_within_a_few_syncs() -> None:
    assert told(pace(), 1.0, 6)[-1] is False


def test_a_busy_start_is_not_for_ever() -> None:
    one = pace(median=0.01)
    assert not one.inline
    assert told(one, 0.000_08, 100)[-1] is True


def test_a_stall_now_and_then_changes_nothing() -> None:
    one = pace()
    for _ in range(50):
        assert all(told(one, 0.03, 1) + told(one, 0.000_1, 40))


@given(spans=st.lists(st.floats(0.000_26, 0.000_74), max_size=300), begins_inline=st.booleans())
def test_within_the_band_nothing_moves(spans: list[float], begins_inline: bool) -> None:
    one = pace(median=0.000_4 if begins_inline else 0.000_6)
    for span in spans:
        one.took(span)
        assert one.inline is begins_inline


@pytest.mark.parametrize("commit", ["inline", "thread"])
def test_what_was_asked_for_stays(commit: Commit) -> None:
    one = pace(commit)
    assert set(told(one, 10.0, 20) + told(one, 0.0, 200)) == {commit == "inline"}


def test_a_clock_that_stands_still_is_a_quick_disk() -> None:
    assert told(pace(median=0.0), 0.0, 10) == [True] * 10
