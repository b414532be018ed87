"""A pytest process of `run_tests.py`: its standard input is the socket on which it is handed files (`in_turn.py`).

`test_worker.py [--noting] OPTIONS`: with the first, what they run is noted (`what_ran.py`), what they read among it.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import what_ran

ROOT = Path(__file__).resolve().parent.parent
READ_BEFORE = "Module already imported so cannot be rewritten"
"""The libraries of a forked process are: nobody needs to see values in their assertions."""

NOTING = "--noting"


def main() -> None:
    """Its words are pytest's."""
    channel = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.path[0] = str(ROOT)
    from tests.probes import warm_starts

    if sys.argv[1:2] == [NOTING]:
        del sys.argv[1]
        what_ran.begin()
    warm_starts.fork_from_here()
    sys.path.insert(1, str(ROOT / "tools"))
    ours = [
        "-q",
        "--no-header",
        "-W",
        f"ignore:{READ_BEFORE}",
        "-p",
        "in_turn",
        "--in-turn",
        str(channel),
    ]
    sys.argv[1:] = [*ours, *sys.argv[1:]]
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
