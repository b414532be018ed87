"""Pids that are given anew for real, by forking until it happens, while the real server looks at their owners."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from set_up import ROOT
from tests.probes.loud_skips import not_proven
from tests.worlds.up import environment

STORM = Path(__file__).with_name("fork_storm.py")
SECONDS, ROUNDS = 8, 40
"""What ends the storm, whichever comes first."""
PIDS = 400
"""So many pids there are, most of them kept for the beginning: a pid comes again after a hundred forks."""
FORKED_SECONDS_MAX = 120
UNPROVEN = "PID REUSE BY FORKING NOT PROVEN here"


def linux() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


@pytest.mark.skipif(sys.platform != "linux", reason="pids and their namespaces are Linux's")
@pytest.mark.requirement("WAPI-08", "ATTEST-01", "RESIL-05")
def test_in_a_fork_storm_nobody_gets_the_identity_of_the_dead(tmp_path):
    if linux() < (6, 14):
        # The highest pid was one number for the whole machine then, and nothing for a test to change.
        not_proven(f"{UNPROVEN}: a PID namespace has a highest pid of its own from Linux 6.14 on")
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, str(STORM),
         str(tmp_path), str(PIDS), str(SECONDS), str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=FORKED_SECONDS_MAX,
        check=False,
        env={**environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )  # fmt: skip
    if "unshare" in done.stderr or "pid_max" in done.stderr:
        not_proven(f"{UNPROVEN}: namespaces are not allowed: {done.stderr[-200:]}", name="namespaces")
    assert done.returncode == 0, done.stderr
    lives = json.loads(done.stdout)["lives"]
    served = [one for one in lives if one["served"] == "True"]
    if len(served) < 2 or len(served) == len(lives):
        not_proven(f"{UNPROVEN}: {len(lives)} pids came again in {SECONDS} s")
    assert all(one["victim"].startswith("spiffe://") for one in served)
    # Who lives is served, whosever pid it has.
    assert all(one["own"].startswith("spiffe://") for one in lives)
    # What the dead had been sent they had, and nothing more comes over what they left.
    assert [one["inherited"] for one in served] == [""] * len(served)
    # No name is of two lives: not of the victim and of its heir, and not of any others.
    names = [name for one in lives for name in {one["victim"] or one["inherited"], one["own"]} if name]
    assert len(names) == len(set(names))
    assert all(one["own"] != one["inherited"] for one in lives)
