"""The benchmark of approvals runs and says what it promises; what the figures are worth is for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probes.demo_run import ROOT

SECONDS_MAX = 300
FIGURES = (
    "card, 100 viewers once a second each, p99",
    "card with all its assets",
    "inbox with",
    "signed decision, from opening to the answer on record, longest",
    "walk, nothing waits",
    "difference",
)


@pytest.mark.requirement("SIGN-09")
def test_the_approval_benchmark_prints_one_json_object_with_every_figure():
    command = [sys.executable, "benchmarks/approval.py", "--quick", "--json"]
    done = subprocess.run(command, cwd=Path(ROOT), capture_output=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stderr.decode()
    printed = json.loads(done.stdout)
    assert printed["bench"] == "approval"
    for wanted in FIGURES:
        assert any(wanted in name for name in printed["figures"]), wanted
