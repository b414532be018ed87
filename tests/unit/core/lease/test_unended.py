"""What a process remembers of leases that its target cannot name."""

from __future__ import annotations

import pytest

from answerable.core.lease.name import lease_name
from answerable.core.lease.unended import Unended
from answerable.errors import Refused

ONE, OTHER = lease_name(bytes(16)), lease_name(bytes(15) + b"\x01")


def test_what_was_begun_is_live_until_it_was_ended_or_its_time_is_up():
    kept = Unended(started_at=0, life_ms_max=100)
    kept.begin(ONE, expires_at=1_000, now=500)
    kept.begin(OTHER, expires_at=900, now=500)
    assert kept.live(500) == tuple(sorted((ONE, OTHER)))
    assert kept.live(900) == (ONE,)
    kept.end(ONE)
    kept.end(ONE)
    assert kept.live(500) == (OTHER,)
    assert kept.left(ONE, now=500, why="w").is_gone
    left = kept.left(OTHER, now=500, why="w")
    assert (left.left, left.live_until) == (("w",), 900)


def test_a_name_is_taken_as_long_as_it_is_live():
    kept = Unended(started_at=0, life_ms_max=100)
    kept.begin(ONE, expires_at=1_000, now=500)
    with pytest.raises(Refused) as refused:
        kept.begin(ONE, expires_at=2_000, now=999)
    assert refused.value.code == "lease.taken"
    kept.begin(ONE, expires_at=2_000, now=1_000)
    assert kept.live(1_500) == (ONE,)


def test_until_the_longest_life_has_passed_nobody_knows_what_a_process_before_left():
    kept = Unended(started_at=1_000, life_ms_max=100)
    left = kept.left(ONE, now=1_099, why="w")
    assert left.live_until == 1_100
    assert "before this one" in left.left[0]
    assert kept.left(ONE, now=1_100, why="w").is_gone
    assert kept.live(1_050) == ()


def test_what_is_over_is_forgotten_when_another_begins():
    kept = Unended(started_at=0, life_ms_max=0)
    for number in range(50):
        name = lease_name(number.to_bytes(16, "big"))
        kept.begin(name, expires_at=number + 1, now=number)
    assert len(kept._live) == 1
