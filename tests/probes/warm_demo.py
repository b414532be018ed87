"""The demo with the product's processes forked from one that has read it (`tests/probes/warm_starts.py`).

`python tests/probes/warm_demo.py DEMO WORD…` is `python DEMO WORD…` in all else. Run by `tests/probes/demo_run.py`.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    if (
        subprocess.Popen.__module__ == "subprocess"
    ):  # else it was forked itself, with a child that forks for it
        from tests.probes import warm_starts

        warm_starts.install()
        warm_starts.begin()
    del sys.path[0], sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
