"""A witness process killed at any step of remembering a checkpoint, or at any moment."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import pytest

from tests.probes.witness_processes import (
    FORK,
    SECONDS_MAX,
    TRUE,
    Told,
    short_world,
    witness,
)
from tests.system.witness_main import STEPS
from tests.worlds.control import World


@pytest.fixture
def world() -> Iterator[World]:
    with short_world() as made:
        yield made


@pytest.mark.requirement("WITNESS-07")
@pytest.mark.parametrize("step", STEPS)
def test_killed_before_it_answers_it_never_cosigns_a_second_history(world: World, step: str) -> None:
    told = Told(world.data)
    with witness(world.data, step, peaceful=1) as process:
        assert told.ask(TRUE, 0, 3) == 200
        assert told.ask(TRUE, 3, 8) == 0
        assert process.wait(SECONDS_MAX) == -signal.SIGKILL
    with witness(world.data):
        size = told.size()
        assert size == (3 if step in ("before", "written") else 8)
        told.ask(FORK, 3, 8)
        told.ask(FORK, 8, 9)
        told.ask(TRUE, size, 8)
        told.ask(TRUE, 8, 9)
    assert told.is_one_history()
    assert (8 in told.roots) == True  # noqa: E712 - one of them went on


@pytest.mark.slow
@pytest.mark.requirement("WITNESS-07")
def test_killed_at_random_moments_it_never_cosigns_a_second_history(world: World) -> None:
    told, chance = Told(world.data), random.Random(4711)
    size = 0
    for _ in range(12):
        with witness(world.data) as process:
            killer = subprocess.Popen(
                ["sh", "-c", f"sleep {chance.uniform(0, 0.2):.3f}; kill -9 {process.pid}"]
            )
            while process.poll() is None:
                log = chance.choice([TRUE, FORK])
                to = size + chance.randrange(3)
                answer = told.ask(log, size, to)
                if answer == 200:
                    size = to
                elif answer == 409:
                    with suppress(httpx2.HTTPError):  # It may die over this one, too.
                        size = told.size()
            killer.wait(SECONDS_MAX)
            process.wait(SECONDS_MAX)
    with witness(world.data):
        for log in (TRUE, FORK):
            told.ask(log, told.size(), told.size() + 1)
    assert told.is_one_history()
