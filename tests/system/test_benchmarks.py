"""The benchmarks run and say what they promise; what the figures are worth is for people to judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.core.attribution.log_line import LOG_KINDS

ROOT = Path(__file__).parents[2]
BARS = ("rate_over_sdk_passthrough", "rate_over_idle_proxy", "rate_over_connected_proxy", "gateway_cpu_us")


@pytest.mark.requirement("BENCH-01")
@pytest.mark.parametrize("upstream", ["http", pytest.param("stdio", marks=pytest.mark.slow)])
def test_the_gateway_benchmark_prints_one_json_object_with_every_figure(upstream):
    how = ["--seconds", "0.3", "--quick", "--json", "--upstream", upstream]
    command = [sys.executable, "benchmarks/gateway.py", *how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed.keys() == {"bench", "machine", "rows", "figures"}
    assert printed["bench"] == "gateway"
    for name in BARS:
        assert printed["figures"][name + ("_stdio" if upstream == "stdio" else "")] > 0, name
    assert {(row["server"], row["upstream"]) for row in printed["rows"]} >= {
        ("answerable", upstream),
        ("upstream, called directly", ""),
    }
    assert all(row["calls"] > 0 and row["cpu_us"] >= 0 for row in printed["rows"])


@pytest.mark.requirement("NEIGHBOUR-08")
def test_the_benchmark_of_neighbours_prints_one_json_object_with_every_ratio():
    command = [sys.executable, "benchmarks/neighbours.py", "--seconds", "0.4", "--only", "key", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed.keys() == {"bench", "machine", "rows", "figures"}
    assert [(row["hostile"], row["connections"]) for row in printed["rows"]] == [
        ("unknown key", 1),
        ("unknown key", 64),
    ]
    figures = [
        f"{name}_worst_c{count}" for name in ("p50_ratio", "p99_ratio", "stop_ms") for count in (1, 64)
    ]
    assert sorted(printed["figures"]) == sorted(figures)
    assert all(value > 0 for value in printed["figures"].values())


@pytest.mark.requirement("ATTRIBUTE-09")
def test_the_benchmark_of_attribution_tells_a_rate_of_each_form_of_log():
    command = [sys.executable, "benchmarks/attribute.py", "--lines", "3000", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rates = json.loads(done.stdout)["lines_a_second"]
    assert {name.split()[0] for name in rates} == {*LOG_KINDS} - {"journald"}
    assert all(rate > 0 for rate in rates.values())
