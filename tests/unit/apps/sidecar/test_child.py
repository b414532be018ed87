"""What becomes of processes that the sidecar adopts."""

from __future__ import annotations

import os
import subprocess
import sys

import anyio
import pytest

from answerable.apps.sidecar.child import Child

REAPING = """
import os, sys
import anyio
from answerable.apps.sidecar.child import Child

async def main():
    child = Child([sys.executable, "-c", "raise SystemExit(7)"], handle="/nowhere")
    ended, running = os.fork(), 0
    if not ended:
        os._exit(0)
    reading, writing = os.pipe()
    running = os.fork()
    if not running:
        os.close(writing)
        os.read(reading, 1)
        os._exit(3)
    for pid in (child.pid, ended):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    child.reap_orphans()
    try:
        os.waitpid(ended, 0)
    except ChildProcessError:
        print("the ended one is gone")
    os.write(writing, b".")
    print("the running one ended by itself with", os.waitstatus_to_exitcode(os.waitpid(running, 0)[1]))
    print("the child ended with", await child.ended())

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt others")
def test_of_adopted_processes_those_that_have_ended_are_gone_and_the_child_is_still_to_be_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REAPING], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        "the ended one is gone",
        "the running one ended by itself with 3",
        "the child ended with 7",
    ]


def test_where_the_kernel_lists_no_children_none_is_taken_from_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = Child([sys.executable, "-c", "raise SystemExit(7)"], handle="/nowhere")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    # No thread of this process has this number.
    monkeypatch.setattr(os, "getpid", lambda: 0)
    child.reap_orphans()
    assert anyio.run(child.ended) == 7
