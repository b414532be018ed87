"""The figures of the native build beside those of the one that runs: asked of it, where `./dev native` made it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / ".dev/native/tree"
STAMP = TREE / ".dev/native-stamp"


def is_current() -> bool:
    """Whether the native build is there, and no module is newer."""
    if not STAMP.exists():
        return False
    made = STAMP.stat().st_mtime
    return all(path.stat().st_mtime <= made for path in (ROOT / "src").rglob("*.py"))


def native_figures(benchmark: str, *words: str) -> dict[str, float]:
    """Run a benchmark there; each of its figures, by its name after `native_`. Empty where there is no such build."""
    if not is_current():
        if STAMP.exists():
            print("the native build is older than the source: ./dev native", file=sys.stderr)
        return {}
    python = TREE / ".dev/venv/bin/python"
    done = subprocess.run(
        [python, f"benchmarks/{benchmark}.py", "--json", *words],
        cwd=TREE,
        stdout=subprocess.PIPE,
        check=True,
    )
    return {f"native_{name}": value for name, value in json.loads(done.stdout)["figures"].items()}
