"""The benchmark of tokens runs and says what it promises; what the figures are worth is for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEGINNINGS = ("the register's stamp", "`answerable revoke` was started")
# Nothing is let through once it is revoked, as far as the clock can tell.
MAYBE_NOTHING = "still let through when sent so long after that stamp, ms"
IN_PROCESS = {
    "peer: a look into a dict, µs",
    "peer: one fdatasync, p50, ms",
    "peer: rows of bare SQLite, one commit each, 1/s",
    *(
        f"{name}, {chain}, {what}, µs"
        for name in ("Ed25519", "ES256")
        for chain in ("token of one hop", "chain of 3 hops", "chain of 5 hops")
        for what in ("known, with whether it was revoked", "verified", "verified, no key seen before")
    ),
    *(
        f"peer: {hops} bare {name} of the same turns, µs"
        for name in ("Ed25519", "ES256")
        for hops in (1, 3, 5)
    ),
    *(
        f"exchanges {below}, {clients}, 1/s"
        for below in ("for a mandate", "below a token")
        for clients in ("one client", "16 clients")
    ),
    *(
        f"DPoP per call, {name}, {what}, µs"
        for name in ("Ed25519", "ES256")
        for what in ("key known", "key new", "bare")
    ),
    "one action, a signature per call, its own mandate, µs",
    "one action, a signature per call, a chain of 3 hops, µs",
}
OF_SERVERS = {
    *(
        f"`up` to the first action answered, {what}, s"
        for holds in ("one live grant", "3,000 live grants", "10,000 live tokens")
        for what in (holds, f"{holds}, after a kill")
    ),
    *(
        f"resident then, {holds}, MB"
        for holds in ("one live grant", "3,000 live grants", "10,000 live tokens")
    ),
    "resident then, 10,000 live tokens and their status asked, MB",
    *(f"each of 25 of 100 descendants refused at both gateways, after {what}, ms" for what in BEGINNINGS),
}


@pytest.mark.requirement("TOKB-01")
@pytest.mark.parametrize(
    ("parts", "figures"),
    [
        pytest.param(["--in-process"], IN_PROCESS, id="in one process"),
        pytest.param([], IN_PROCESS | OF_SERVERS, id="with whole servers", marks=pytest.mark.slow),
    ],
)
def test_the_tokens_benchmark_prints_one_json_object_with_every_figure(parts, figures):
    command = [sys.executable, "benchmarks/tokens.py", "--quick", "--json", *parts]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed.keys() == {"bench", "machine", "figures"}
    assert printed["bench"] == "tokens"
    assert printed["figures"].keys() >= figures
    assert all(value > 0 for name, value in printed["figures"].items() if name != MAYBE_NOTHING)
