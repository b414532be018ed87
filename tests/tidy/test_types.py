"""mypy reads every Python file that is ours, and of a test tells what is a broken call, not what is an odd value."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import check
from tests.tidy.tree import ROOT, texts

BROKEN = """
import gone


def called(name: str) -> str:
    return name


def test_a(tmp_path):
    called()
    called("a", "b")
    called(nom="a")
    called("a").nothing()
    called("a")  # type: ignore[call-arg]
    called(3)["a"] + 1
"""
TOLD = [
    (2, "import-not-found"),
    (10, "call-arg"),
    (11, "call-arg"),
    (12, "call-arg"),
    (13, "attr-defined"),
    (14, "unused-ignore"),
]
OF_VALUES = [(15, "call-overload"), (15, "arg-type")]


def typed(folder: Path, name: str) -> list[tuple[int, str]]:
    """Line and kind of each fault that mypy finds in that file, as the project has it set."""
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text(BROKEN)
    settings = ("--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".dev/cache/mypy-planted")
    command: list[str | Path] = [Path(sys.executable).with_name("mypy"), *settings, name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = re.findall(r":(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    return [(int(line), kind) for line, kind in found]


def test_every_python_file_of_ours_is_read():
    ours = {path.partition("/")[0] for path, _ in texts() if path.endswith(".py")}
    assert ours == {*check.TYPED}


@pytest.mark.requirement("CI-11")
def test_a_broken_call_of_a_test_is_told_and_an_odd_value_is_not(tmp_path: Path):
    assert typed(tmp_path, "tests/system/test_a.py") == TOLD


def test_what_checks_the_rest_hands_over_nothing_wrong(tmp_path: Path):
    found = typed(tmp_path, "tests/tidy/test_a.py")
    assert {*TOLD} < {*found}
    assert {kind for _, kind in {*found} - {*TOLD}} >= {"arg-type"}
