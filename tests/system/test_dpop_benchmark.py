"""The benchmark of DPoP runs and says what it promises; what the figures are worth is for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIGURES = {
    *(
        f"{name}_{what}_us"
        for name in ("ed25519", "es256")
        for what in ("cached", "uncached", "bare_signature", "made")
    ),
    *(
        f"{name}_{what}_over_bare_signature"
        for name in ("ed25519", "es256")
        for what in ("cached", "uncached")
    ),
    "signed_message_us",
    "session_mac_us",
    "use_shared_table_us",
    "use_sqlite_off_us",
    "use_sqlite_normal_us",
    "use_sqlite_full_us",
    "two_processes_shared_table_per_s",
    "two_processes_sqlite_off_per_s",
}


@pytest.mark.requirement("DPOP-13")
def test_the_dpop_benchmark_prints_one_json_object_with_every_figure():
    command = [sys.executable, "benchmarks/dpop.py", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed.keys() == {"bench", "machine", "figures"}
    assert printed["bench"] == "dpop"
    assert printed["figures"].keys() >= FIGURES
    assert all(value > 0 for value in printed["figures"].values())
