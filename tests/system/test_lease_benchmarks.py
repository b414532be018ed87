"""The benchmarks of kinds of targets run, end what they made, and tell what ours costs beside the bare statements."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probes.loud_skips import skip_loudly

ROOT = Path(__file__).parents[2]
SERVERS = {"nats": "nats-server", "rabbitmq": "rabbitmq-server", "redis": "redis-server", "ssh": "sshd"}
STEPS = {
    "nats": {"signed": ["issue"], "revocable": ["issue", "revoke"]},
    "rabbitmq": {"exchange_and_queue": ["issue", "revoke"]},
    "redis": {"keys_and_commands": ["issue", "revoke"]},
    "ssh": {"one_command": ["issue", "revoke"]},
}


def measured(*kinds: str) -> dict[str, dict[str, dict[str, object]]]:
    line = [sys.executable, "benchmarks/leases_all.py", *kinds, "--json", "--leases", "3"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, dict[str, object]]] = json.loads(done.stdout)
    return found


@pytest.mark.requirement("BENCH-02")
@pytest.mark.parametrize("kind", sorted(SERVERS))
def test_what_a_lease_costs_is_told_beside_the_bare_statements_of_the_same_run(kind):
    found = measured(kind)[kind]
    if "not_measured" in found:
        skip_loudly(str(found["not_measured"]), f"install {SERVERS[kind]}", name=SERVERS[kind])
    for group, steps in STEPS[kind].items():
        for step in steps:
            ours, bare = found[group][step], found[group][f"bare_{step}"]
            assert isinstance(ours, dict)
            assert isinstance(bare, dict)
            assert ours.keys() == bare.keys() == {"p50_ms", "p99_ms", "per_second"}
            assert found[group][f"{step}_ratio_p50"] == pytest.approx(
                ours["p50_ms"] / bare["p50_ms"], rel=0.01, abs=0.05
            )
