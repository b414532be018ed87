"""Two processes at full speed, stopped at random moments, with the other one awake, asleep or killed meanwhile."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.system.stop_load import STOPPABLE, Process, told

SCENES = ("awake", "asleep", "awake", "asleep", "killed")


def drilled(count: int, *, rate: float) -> None:
    """So many stops; every law that a stop promises is held against what happened."""
    chance = random.Random(count)
    seen: dict[str, list[str]] = {"a": [], "b": []}
    with (
        TemporaryDirectory(prefix="stops-", ignore_cleanup_errors=True) as path,
        running(Path(path), "a", rate=rate / 2) as here,
        running(Path(path), "b", rate=rate / 2) as there,
    ):
        acting = 0.0
        for number in range(count):
            acting += one_stop(
                here, there, SCENES[number % len(SCENES)], chance, seen, STOPPABLE[number % len(STOPPABLE)]
            )
        for process in (here, there):
            ends = process.ask("account")
            seen[process.name] += [action for _, _, action in process.effects()]
            accounted(ends, seen[process.name])
        effects = sum(map(len, seen.values()))
        print(f"{count} stops, {effects} effects, {effects / acting:.0f} a second of {rate:.0f} wanted")


@contextmanager
def running(folder: Path, name: str, *, rate: float) -> Iterator[Process]:
    process = Process(folder, name, rate=rate)
    try:
        yield process
        process.end()
    finally:
        process.kill()


def one_stop(here: Process, there: Process, scene: str, chance: random.Random, seen, what) -> float:
    """One of them; how long both acted before it."""
    begun = time.monotonic()
    time.sleep(0.05 + chance.random() * 0.1)
    acting = time.monotonic() - begun
    if scene == "asleep":
        there.signal(signal.SIGSTOP)
        time.sleep(chance.random() * 0.02)
    here.pipe.send(("stop", *what))
    if scene == "killed":
        time.sleep(chance.random() * 0.01)
        there.kill()
    stop = here.answer()
    assert stop["recorded"], told(stop)
    if scene == "asleep":
        time.sleep(chance.random() * 0.1)
        there.signal(signal.SIGCONT)
    elif scene == "killed":
        there.start()
    # Long enough for whoever could start something to do so.
    time.sleep(0.05)
    for process in (here, there):
        process.ask("settled")
        effects = process.effects()
        seen[process.name] += [action for _, _, action in effects]
        late_looks = [one for one in effects if one[0] > stop["in_force"]]
        assert not late_looks, f"allowed after the stop was in force: {late_looks[:3]} {told(stop)}"
        late = [one for one in effects if one[1] > stop["returned"]]
        # Whoever was put to sleep between the look and the effect wakes up in between: one, as a process does one
        # thing at a time; it was in flight, and is on record as such.
        assert len(late) <= (process is there and scene == "asleep"), f"{scene}: {late[:3]} {told(stop)}"
    assert here.ask("lift", stop["hold"])
    return acting


def accounted(ends: dict[str, str], effects: list[str]) -> None:
    """Every action has an end, whatever happened has an intent, and whatever was not started did not happen."""
    assert all(ends.values()), [action for action, status in ends.items() if not status][:3]
    assert set(effects) <= set(ends)
    assert len(effects) == len(set(effects)), "an action took effect twice"
    happened = set(effects)
    for action, status in ends.items():
        assert (status == "not_started") <= (action not in happened), (action, status)
        assert (status in ("succeeded", "failed")) <= (action in happened), (action, status)


@pytest.mark.requirement("DRILL-04")
def test_of_stops_at_random_moments_none_is_outrun_and_all_in_flight_is_accounted_for():
    drilled(5, rate=200)


@pytest.mark.slow
@pytest.mark.requirement("DRILL-04")
def test_of_a_hundred_stops_at_a_thousand_actions_a_second_none_is_outrun():
    drilled(100, rate=1_000)
