"""Whatever bytes a stranger sends to any parser, it returns or raises an error of ours, in bounded time and memory.

Mutants of valid bytes for a while: ANSWERABLE_FUZZ_SECONDS seconds a parser, shortly unless told otherwise. In the long
form atheris looks for bytes that reach new lines.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from answerable.errors import Unverified
from tests.fuzz.mutated import mutants
from tests.fuzz.stranger_bytes import policy_targets, targets, tried
from tests.probes.loud_skips import skip_loudly
from tests.probes.warm_starts import COLD

pytestmark = pytest.mark.requirement("PROVE-06")

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("ANSWERABLE_FUZZ_SECONDS", "0.1"))
SECONDS_OF_PROOF = float(os.environ.get("ANSWERABLE_FUZZ_SECONDS", "4"))
RUNS = 40
"""Of each under atheris, where it is done shortly."""
LEAST = 30
"""Mutants tried of each, however slow the machine is."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.requirement("POLPROOF-06")) if name in policy_targets() else name
        for name in targets()
    ],
)
def test_mutants_of_valid_bytes_are_read_or_refused(name: str) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    target, until, count = targets()[name], time.monotonic() + SECONDS, 0
    for sent in mutants(target.samples, random.Random(seed)):
        try:
            tried(target, sent)
        except Exception as error:
            # Where another part of the world is to blame, the seed and the bytes say how to come here again.
            raise AssertionError(f"{name}: seed {seed}, bytes {sent[:4000]!r}") from error
        count += 1
        if time.monotonic() > until and count >= LEAST:
            break
    print(f"{name}: {count} mutants, seed {seed}")


@pytest.mark.parametrize("name", targets())
def test_the_samples_are_what_the_parsers_take(name: str) -> None:
    target = targets()[name]
    for sent in target.samples:
        # A proof of another leaf, and growth that a witness has seen already, are refused at the very end.
        with suppress(Unverified) if name in ("proof file", "witness request") else nullcontext():
            target.parsed(sent)


@dataclass(frozen=True)
class Fuzzed:
    """How it ended, what it said, and the bytes that were a fault."""

    status: int
    said: str
    faults: list[bytes]


def fuzzed(folder: Path, *, seconds: float, runs: int) -> dict[str, Fuzzed]:
    """What came of every parser, fuzzed with an eye on the lines that are reached. runs: -1 for as long as it takes."""
    if importlib.util.find_spec("atheris") is None:
        skip_loudly("atheris", "a Python that it is made for; ./dev sets it up there", name="atheris")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT), *sys.path)),
        # Lines are followed of what is read after that was asked for, and a forked Python has read all of it before.
        COLD: "yes",
    }
    program = [sys.executable, str(ROOT / "tests/fuzz/in_atheris.py"), str(folder), str(seconds), str(runs)]
    names = list(targets())
    done = subprocess.run(
        [*program, *names],
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        cwd=folder,
        timeout=60 + len(names) * (10 + 3 * seconds),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {name: _outcome(folder / str(number)) for number, name in enumerate(names)}


def _outcome(place: Path) -> Fuzzed:
    faults = [
        path.read_bytes()[:4000]
        for path in place.iterdir()
        if path.name.startswith(("crash", "timeout", "oom"))
    ]
    said = (place / "said").read_text(errors="replace")
    return Fuzzed(int((place / "status").read_text()), said, faults)


def judge(found: Fuzzed) -> None:
    assert (found.status, found.faults) == (0, []), found.said[-6000:]
    (done,) = [line for line in found.said.splitlines() if line.startswith("Done ")]
    followed = max(map(int, re.findall(r" cov: (\d+) ", found.said)), default=0)
    print(done)
    assert followed, "no line of this parser was followed"


@pytest.fixture(scope="module")
def fuzzed_shortly(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fuzzed]:
    return fuzzed(tmp_path_factory.mktemp("shortly"), seconds=1, runs=RUNS)


@pytest.fixture(scope="module")
def fuzzed_at_length(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fuzzed]:
    return fuzzed(tmp_path_factory.mktemp("at-length"), seconds=SECONDS_OF_PROOF, runs=-1)


@pytest.mark.parametrize("name", targets())
def test_no_bytes_that_reach_new_lines_are_a_fault(name: str, fuzzed_shortly: dict[str, Fuzzed]) -> None:
    judge(fuzzed_shortly[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", targets())
def test_no_bytes_that_reach_new_lines_in_seconds_are_a_fault(
    name: str, fuzzed_at_length: dict[str, Fuzzed]
) -> None:
    judge(fuzzed_at_length[name])
