"""The benchmark of revocation runs and says what it promises; what the figures are worth is for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = (
    "epoch, nothing new",
    "find of 12 names",
    "peer: PRAGMA data_version",
    "another process had refused all",
    "status bits of all",
    "resident memory with",
    "reopening",
)


@pytest.mark.requirement("REVOKE-11")
def test_the_revocation_benchmark_prints_one_json_object_with_every_figure():
    command = [sys.executable, "benchmarks/revocation.py", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed.keys() == {"bench", "machine", "figures"}
    assert printed["bench"] == "revocation"
    for part in PARTS:
        assert any(name.startswith(part) for name in printed["figures"]), part
    assert all(value > 0 for value in printed["figures"].values())
