"""The benchmark of workload identity runs and says what it promises; what the figures are worth is for people."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Without OpenSSH nobody signs as a host.
METHODS = ("unix", "join_token", "oidc", "x509_pop", *(("ssh",) if shutil.which("ssh-keygen") else ()))
FIGURES = {
    *(f"{kind}_svids_per_s" for kind in ("x509", "jwt", "wit")),
    "bare_signature_us",
    "bare_certificate_us",
    "x509_svid_over_bare_certificate",
    *(f"{kind}_svid_over_bare_signature" for kind in ("x509", "jwt", "wit")),
    "attest_cold_us",
    "attest_warm_us",
    *(f"attest_{name}_{what}" for name in METHODS for what in ("p50_ms", "p99_ms", "bare_us")),
    "door_turn_p50_ms",
    "rotation_s",
    "rotation_over_floor",
    "rotation_cpu_ms_each",
    "stream_kb",
    "first_svid_after_up_s",
    "bare_interpreter_s",
    "bare_authority_ms",
    "authority_made_ms",
    "first_svid_over_bare_import",
    "carried_by_half_a_core",
    "carried_by_a_gib",
    "carried_by_connections",
}
# What passes in a clock tick may be seen as nothing.
MAYBE_NOTHING = {"recheck_cpu_ms_each", "idle_cpu_share"} | {f"attest_{name}_cpu_ms" for name in METHODS}


@pytest.mark.requirement("IDBENCH-01")
def test_the_identity_benchmark_prints_one_json_object_with_every_figure():
    command = [sys.executable, "benchmarks/identity.py", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed.keys() == {"bench", "machine", "figures", "carries"}
    assert printed["bench"] == "identity"
    figures = printed["figures"]
    assert figures.keys() >= FIGURES
    assert all(value > 0 for name, value in figures.items() if name not in MAYBE_NOTHING)
    assert min(figures[name] for name in ("let_in_entries_each", "rotation_entries_each")) >= 1
    assert printed["carries"].startswith("one node carries")
