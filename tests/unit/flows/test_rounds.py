"""Loops that look once in a while begin their rounds together, whenever each of them comes to rest."""

from __future__ import annotations

import math

import anyio
import pytest

from answerable.flows.recording.rounds import BEAT_SECONDS, until_round

pytestmark = pytest.mark.requirement("HOUSE-39")
RESTED_AT = (0.0, 0.25, 0.9991, 0.9996, 1.0, 17.5, 123_456.789)


def rest_at(monkeypatch: pytest.MonkeyPatch, now: float, seconds: float) -> float:
    monkeypatch.setattr(anyio, "current_time", lambda: now)
    return until_round(seconds)


@pytest.mark.parametrize("now", RESTED_AT)
@pytest.mark.parametrize("seconds", [0.02, 0.5, 1.0, 5.0, 3_600.0])
def test_a_loop_wakes_with_the_others_and_no_later_than_it_asked_for(monkeypatch, now, seconds):
    rest, beat = rest_at(monkeypatch, now, seconds), min(seconds, BEAT_SECONDS)
    beats = (now + rest) / beat
    assert beats == pytest.approx(round(beats), abs=1e-6)
    assert max(0.0, seconds - BEAT_SECONDS) < rest <= seconds + beat / 1000


def test_a_loop_whose_timer_ended_early_does_not_run_its_round_twice(monkeypatch):
    assert rest_at(monkeypatch, 7.9999, 1.0) == pytest.approx(1.0001)


@pytest.mark.parametrize("seconds", [0.0, math.inf])
def test_a_loop_that_does_not_rest_or_waits_for_a_signal_alone_is_left_as_it_is(seconds):
    assert until_round(seconds) == seconds
