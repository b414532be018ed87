"""The benchmark of HTTP leases runs and tells what a lease costs beside the bare requests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.requirement("HTTPLEASE-13")
def test_a_lease_is_measured_beside_the_bare_requests():
    run = [sys.executable, "benchmarks/leases_http.py", "--json", "--leases", "5"]
    told = subprocess.run(run, cwd=ROOT, capture_output=True, check=True, timeout=300).stdout
    found = json.loads(told)
    assert found["standing_key"]["action_ratio_p50"] > 0
    assert found["standing_key"]["action"]["p50_ms"] > 0
    assert "token" in found or "not_measured" in found
