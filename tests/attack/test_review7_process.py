"""What a neighbour of the same user can take from the process that holds the secrets."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.requirement("BROKER-04"),
    pytest.mark.skipif(sys.platform != "linux", reason="what is shown here is Linux's"),
]

# A root that may not trace others is to the kernel what any other user is to a process of its own.
NEIGHBOUR = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 19, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_SYS_PTRACE
os.execvp("readlink", ["readlink", sys.argv[1]])
"""


def is_let_in(pid: int) -> bool:
    """Whether the kernel lets a neighbour look at it: by the same rule as at its environment and open files."""
    words = [sys.executable, "-c", NEIGHBOUR, f"/proc/{pid}/exe"]
    return not subprocess.run(words, capture_output=True, timeout=30).returncode


def test_no_neighbour_looks_into_a_broker_and_no_core_file_has_it(tmp_path: Path):
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE) as other:
        assert is_let_in(other.pid), "as of any other process"
        other.communicate()
    words = [sys.executable, "-P", "-m", "answerable.main", "--data", str(tmp_path), "broker", "--until-eof"]
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
