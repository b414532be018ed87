"""The benchmark of workload identity runs and says what it promises; what the figures are worth is for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIGURES = {
    "x509_svids_per_s",
    "jwt_svids_per_s",
    "bare_signature_us",
    "bare_certificate_us",
    "x509_svid_over_bare_certificate",
    "jwt_svid_over_bare_signature",
    "attest_cold_us",
    "attest_warm_us",
    "bundle_pushed_to_all_s",
    "svid_pushed_to_all_s",
    "svid_push_over_floor",
    "first_svid_after_up_s",
    "first_svid_over_bare_import",
}


@pytest.mark.slow
@pytest.mark.requirement("IDBENCH-01")
def test_the_identity_benchmark_prints_one_json_object_with_every_figure():
    command = [sys.executable, "benchmarks/identity.py", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed.keys() == {"bench", "machine", "figures"}
    assert printed["bench"] == "identity"
    assert printed["figures"].keys() >= FIGURES
    assert all(value > 0 for value in printed["figures"].values())
