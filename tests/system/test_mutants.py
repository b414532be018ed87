"""A sample of small changes to the tree code, each of which must fail a test. `tools/mutate.py` runs all of them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.requirement("PROVE-07")

ROOT = Path(__file__).parents[2]
SAMPLE = os.environ.get("ANSWERABLE_MUTANTS", "25")
"""Mutants of each module; 0 for all."""
FEW = "5"
"""Of one module, for every change."""
MODULES = sorted(
    path.stem for path in (ROOT / "src/answerable/core/tlog").glob("*.py") if path.stem != "__init__"
)


def judge(module: str, sample: str) -> None:
    """So many changes to this module, chosen by chance, are noticed."""
    seed = int.from_bytes(os.urandom(4), "big")
    program = [sys.executable, "tools/mutate.py", "--module", module, "--jobs", "1", "--json"]
    run = subprocess.run(
        [*program, "--sample", sample, "--seed", str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(("src", "tools", "."))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout, run.stderr
    found = json.loads(run.stdout)
    print(f"{module}: {found['noticed']} of {found['mutants']} mutants noticed, seed {seed}")
    assert not found["survivors"], "\n".join(["no test notices", *found["survivors"]])
    assert not found["stale"], f"tests/mutants.toml names what is not there: {found['stale']}"


def test_a_few_changes_to_a_module_of_the_tree_fail_a_test() -> None:
    judge(random.choice(MODULES), FEW)


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_a_changed_module_of_the_tree_fails_a_test(module: str) -> None:
    judge(module, SAMPLE)
