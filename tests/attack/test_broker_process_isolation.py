"""What a neighbour of the same user can take from the process that holds the secrets."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.requirement("BROKER-04"),
    pytest.mark.skipif(sys.platform != "linux", reason="what is shown here is Linux's"),
]

# A root that may not trace others is to the kernel what any user is: all processes here are such ones.
UNPRIVILEGED = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 19, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_SYS_PTRACE
os.execvp(sys.argv[1], sys.argv[1:])
"""


def words_of(*words: str) -> list[str]:
    return [sys.executable, "-c", UNPRIVILEGED, *words]


def is_let_in(pid: int) -> bool:
    """Whether the kernel lets a neighbour look at it: by the same rule as at its environment and open files."""
    looked = subprocess.run(words_of("readlink", f"/proc/{pid}/exe"), capture_output=True, timeout=30)
    return not looked.returncode


def test_no_neighbour_looks_into_a_broker_and_no_core_file_has_it(tmp_path: Path):
    with subprocess.Popen(words_of("cat"), stdin=subprocess.PIPE) as other:
        while Path(os.readlink(f"/proc/{other.pid}/exe")).name == Path(sys.executable).resolve().name:
            time.sleep(0.02)
        assert is_let_in(other.pid), "as of any other process"
        other.communicate()
    words = words_of(
        sys.executable, "-P", "-m", "answerable.main", "--data", str(tmp_path), "broker", "--until-eof"
    )
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as broker:
        deadline = time.monotonic() + 60
        while not any(tmp_path.rglob("broker.sock")):
            assert time.monotonic() < deadline
            assert broker.poll() is None
            time.sleep(0.05)
        let_in = is_let_in(broker.pid)
        limits = Path(f"/proc/{broker.pid}/limits").read_text()
        broker.communicate()
    assert not let_in
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4] == "0"
