"""What other processes of the same user see of one that keeps keys."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is shown here is Linux's")

SCRIPT = """
import ctypes, os, resource, sys
from answerable.wiring import guarding
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # changing users has made us private already
def seen():
    pid = os.fork()
    if pid == 0:
        try:
            os.readlink(f"/proc/{os.getppid()}/exe"); os._exit(0)
        except PermissionError:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
before = seen()
assert guarding.without_core_dumps() and resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
assert guarding.without_tracing() and guarding.adopting_orphans()
print(before, seen())
"""


def test_after_guarding_no_process_of_the_same_user_can_look_in():
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "False"]
