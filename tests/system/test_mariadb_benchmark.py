"""The benchmark of MariaDB leases runs, ends what it made, and tells what it measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probes.loud_skips import skip_loudly

ROOT = Path(__file__).parents[2]


@pytest.mark.requirement("MARIADB-10")
def test_a_hundred_accounts_are_cut_at_once_and_the_cost_is_told():
    if not shutil.which("mariadbd"):
        skip_loudly("MariaDB", "apt-get install mariadb-server", name="mariadb")
    run = [sys.executable, "benchmarks/leases_mariadb.py", "--json", "--leases", "5"]
    told = subprocess.run(run, cwd=ROOT, capture_output=True, check=True, timeout=300).stdout
    found = json.loads(told)
    assert found["at_once"]["accounts"] == 100
    assert found["grants"]["issue_ratio_p50"] > 0
