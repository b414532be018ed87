"""The benchmark of containment runs and says what it promises; what the figures are worth is for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probes.demo_run import ROOT

SECONDS_MAX = 300
FIGURES = (
    "from the press to the last new effect, p99",
    "another process had refused all",
    "epoch, nothing new",
    "walk, nothing held",
    "difference of two in turn, median",
    "peer: a look into a set",
)


@pytest.mark.requirement("DRILL-05")
def test_the_containment_benchmark_prints_one_json_object_with_every_figure():
    command = [sys.executable, "benchmarks/containment.py", "--quick", "--json"]
    done = subprocess.run(command, cwd=Path(ROOT), capture_output=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stderr.decode()
    printed = json.loads(done.stdout)
    assert printed["bench"] == "containment"
    for wanted in FIGURES:
        assert any(wanted in name for name in printed["figures"]), wanted
