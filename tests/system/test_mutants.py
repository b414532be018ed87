"""A sample of small changes to the tree code, each of which must fail a test. `tools/mutate.py` runs all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.requirement("PROVE-07")

ROOT = Path(__file__).parents[2]
SAMPLE = os.environ.get("ANSWERABLE_MUTANTS", "300")
"""So many of about 1,400; 0 for all."""
FEW = "2"
"""For every change."""


@pytest.mark.parametrize("sample", [FEW, pytest.param(SAMPLE, marks=pytest.mark.slow)])
def test_a_changed_module_of_the_tree_fails_a_test(sample: str) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    run = subprocess.run(
        [
            sys.executable,
            "tools/mutate.py",
            "--room",
            "core/tlog",
            "--json",
            "--sample",
            sample,
            "--seed",
            str(seed),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout, run.stderr
    found = json.loads(run.stdout)
    print(f"{len(found['noticed'])} of {found['mutants']} mutants noticed, seed {seed}")
    assert not found["survivors"], "\n".join(["no test notices", *found["survivors"]])
    assert not found["stale"], f"tests/mutants.toml names what is not there: {found['stale']}"
