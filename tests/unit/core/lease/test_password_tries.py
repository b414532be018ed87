"""Which password is tried next."""

from __future__ import annotations

from answerable.core.lease.password_tries import TRIES_MAX, others_to_try


def test_each_is_tried_once_and_what_may_be_right_is_asked_anew_each_time():
    known = iter([("b", "a"), ("c", "b"), ("c", "d"), ("d", "c")])
    assert list(others_to_try("a", lambda: next(known))) == ["b", "c", "d"]


def test_no_more_are_tried_than_a_server_may_forgive():
    count = iter(range(1_000))
    assert len(list(others_to_try("a", lambda: (str(next(count)),)))) == TRIES_MAX
