"""Whose process connects."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from answerable.apps.sidecar.process_ancestry import descends, is_kin

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is shown here is Linux's")


def test_a_child_and_its_child_descend_from_us_and_we_do_not_from_ourselves():
    script = "import subprocess,sys; p=subprocess.Popen(['sleep','20']); print(p.pid,flush=True); p.wait()"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert descends(child.pid, os.getpid())
        assert descends(grandchild, os.getpid())
        assert descends(grandchild, child.pid)
        assert not descends(os.getpid(), child.pid)
        assert not descends(os.getpid(), os.getpid())
        assert not descends(os.getppid(), os.getpid())
        os.kill(grandchild, 9)
    finally:
        child.kill()
        child.wait()
    assert not descends(child.pid, os.getpid())
    assert not descends(2**22 + 1, os.getpid())


def test_our_own_end_of_a_socket_is_not_kin_and_a_childs_is():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not is_kin(ours)
        # As the child of the process that started the tests, we are its kin.
        assert is_kin(ours, own=os.getppid())
