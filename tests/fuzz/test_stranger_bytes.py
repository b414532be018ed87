"""Whatever bytes a stranger sends to any parser, it returns or raises an error of ours, in bounded time and memory.

Mutants of valid bytes for a while: ANSWERABLE_FUZZ_SECONDS seconds a parser, shortly unless told otherwise. In the long
form atheris looks for bytes that reach new lines.
"""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from answerable.errors import Unverified
from tests.fuzz.mutated import mutants
from tests.fuzz.stranger_bytes import policy_targets, targets, tried
from tests.loud_skips import not_proven

pytestmark = pytest.mark.requirement("PROVE-06")

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("ANSWERABLE_FUZZ_SECONDS", "0.1"))
SECONDS_OF_PROOF = float(os.environ.get("ANSWERABLE_FUZZ_SECONDS", "4"))
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


@pytest.mark.slow
@pytest.mark.parametrize("name", targets())
def test_no_bytes_that_reach_new_lines_are_a_fault(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        not_proven("COVERAGE-GUIDED FUZZING NOT PROVEN here: atheris is not installed")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT), *sys.path))}
    program = [
        sys.executable,
        str(ROOT / "tests/fuzz/in_atheris.py"),
        name,
        str(tmp_path),
        str(SECONDS_OF_PROOF),
    ]
    run = subprocess.run(
        program,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        cwd=tmp_path,
        timeout=60 + 3 * SECONDS_OF_PROOF,
        check=False,
    )
    crashes = [
        path.read_bytes()[:4000]
        for path in tmp_path.iterdir()
        if path.name.startswith(("crash", "timeout", "oom"))
    ]
    assert (run.returncode, crashes) == (0, []), f"{run.stdout[-2000:]}{run.stderr[-4000:]}"
    (done,) = [line for line in run.stderr.splitlines() if line.startswith("Done ")]
    print(f"{name}: {done}")
