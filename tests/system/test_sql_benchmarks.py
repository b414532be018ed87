"""The benchmarks of PostgreSQL and MariaDB leases run, end what they made, and tell what they measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand_ins import mariadb_server, postgres_server

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("server", "script", "cut"),
    [
        pytest.param(
            postgres_server, "leases_postgres", ("roles", 200), id="postgres",
            marks=pytest.mark.requirement("PG-11"),
        ),
        pytest.param(
            mariadb_server, "leases_mariadb", ("accounts", 100), id="mariadb",
            marks=pytest.mark.requirement("MARIADB-10"),
        ),
    ],
)  # fmt: skip
def test_many_accounts_are_cut_at_once_and_the_cost_is_told(server, script, cut):
    server.programs()
    run = [sys.executable, f"benchmarks/{script}.py", "--json", "--leases", "5"]
    told = subprocess.run(run, cwd=ROOT, capture_output=True, check=True, timeout=300).stdout
    found = json.loads(told)
    what, many = cut
    assert found["at_once"][what] == many
    assert found["at_once"]["cut_seconds"] > 0
    assert found["grants"]["issue"]["p50_ms"] > 0
    assert found["grants"]["issue_ratio_p50"] > 0
