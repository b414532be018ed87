"""Loops that look once in a while begin their rounds together, whenever each of them comes to rest."""

from __future__ import annotations

import ast
import math

import anyio
import pytest

from answerable.flows.recording.rounds import BEAT_SECONDS, until_round
from tests.tidy.tree import Module, modules, parsed

pytestmark = pytest.mark.requirement("HOUSE-39")
RESTED_AT = (0.0, 0.25, 0.9991, 0.9996, 1.0, 17.5, 123_456.789)
ROOMS = ("flows", "wiring")
LONG_SECONDS = 60.0
"""Who rests longer wakes too seldom to matter."""
NOT_ROUNDS = {"src/answerable/flows/workloads/watch_clock.py"}
"""Its sleep is the caller's: the clock that it watches."""


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


def apart(module: Module) -> list[str]:
    """Rests of a second to a minute that keep a beat of their own, by the constant that says how long."""
    long = {
        one.target.id
        for one in module.tree.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        if isinstance(one.value, ast.Constant) and isinstance(one.value.value, int | float)
        if BEAT_SECONDS <= one.value.value <= LONG_SECONDS
    }
    return [
        f"{module.path}: {ast.unparse(one)}"
        for one in module.nodes
        if isinstance(one, ast.Call) and ast.unparse(one.func).rpartition(".")[2] in ("sleep", "heard")
        for given in [*one.args, *(named.value for named in one.keywords)]
        if isinstance(given, ast.Name) and given.id in long
    ]


def test_no_loop_that_rests_for_a_second_keeps_a_beat_of_its_own():
    ours = [one for one in modules("src") if one.room in ROOMS and one.path not in NOT_ROUNDS]
    assert len(ours) > 300
    assert [place for one in ours for place in apart(one)] == []


def test_a_beat_of_its_own_is_found():
    text = "LOOK_SECONDS: Final = 1.0\nasync def look():\n    await anyio.sleep(LOOK_SECONDS)\n"
    assert apart(parsed("src/answerable/flows/look.py", text)) == [
        "src/answerable/flows/look.py: anyio.sleep(LOOK_SECONDS)"
    ]
    assert (
        apart(
            parsed(
                "src/answerable/flows/look.py", text.replace("(LOOK_SECONDS)", "(until_round(LOOK_SECONDS))")
            )
        )
        == []
    )
