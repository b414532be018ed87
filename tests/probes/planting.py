"""Runs of the suite's runner over planted tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES_READ = ("tools/*.py", "tests/probes/*.py", "tests/stand_ins/session_servers.py")
"""By the runner and its processes."""


@contextmanager
def planted() -> Iterator[Path]:
    """A folder of the checkout for planted tests."""
    with tempfile.TemporaryDirectory(dir=ROOT / ".dev", prefix="planted-") as folder:
        yield Path(folder)


def ran(place: Path, *options: str, **files: str) -> tuple[int, str]:
    """Exit code, and what was told, of these tests. options: of pytest."""
    for name, text in files.items():
        (place / f"test_{name}.py").write_text(text)
    command = [sys.executable, "tools/run_tests.py", "--workers", "2", str(place), "--", *options]
    # What these need of pytest is its own: a start takes a fifth of the time without the plugins of others.
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout
