"""The benchmark of PostgreSQL leases runs, ends what it made, and tells what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand_ins.postgres_server import programs

ROOT = Path(__file__).parents[2]


@pytest.mark.requirement("PG-11")
def test_two_hundred_real_roles_are_cut_at_once_and_the_cost_is_told():
    programs()
    run = [sys.executable, "benchmarks/leases_postgres.py", "--json", "--leases", "5"]
    told = subprocess.run(run, cwd=ROOT, capture_output=True, check=True, timeout=300).stdout
    found = json.loads(told)
    assert found["at_once"]["roles"] == 200
    assert found["at_once"]["cut_seconds"] > 0
    assert found["grants"]["issue"]["p50_ms"] > 0
