"""Where the tests of a run write."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import memory_disk

ASKED = "import tempfile; print(tempfile.mkdtemp())"


def made() -> Path:
    """A folder that a process makes which a run starts."""
    return Path(
        subprocess.run(
            [sys.executable, "-c", ASKED], check=True, capture_output=True, text=True
        ).stdout.strip()
    )


@pytest.mark.requirement("FAST-13")
def test_what_tests_write_is_in_memory_and_gone_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_disk, "MEMORY", tmp_path)
    monkeypatch.setattr(memory_disk, "BYTES_MIN", 1)
    before = tempfile.gettempdir()
    with memory_disk.memory_disk():
        ours, theirs = Path(tempfile.mkdtemp()), made()
        assert ours.parent == theirs.parent
        assert ours.parent.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == before


@pytest.mark.requirement("FAST-13")
@pytest.mark.parametrize(("disk", "bytes_min"), [(".", 2**62), ("none", 1)], ids=["no room", "no such disk"])
def test_without_room_in_memory_they_write_where_they_always_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str, bytes_min: int
) -> None:
    monkeypatch.setattr(memory_disk, "MEMORY", tmp_path / disk)
    monkeypatch.setattr(memory_disk, "BYTES_MIN", bytes_min)
    with memory_disk.memory_disk():
        folder = made()
        assert tmp_path not in folder.parents
        folder.rmdir()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.requirement("FAST-13")
def test_a_place_from_which_nothing_can_be_run_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_disk, "MEMORY", tmp_path)
    monkeypatch.setattr(memory_disk, "BYTES_MIN", 0)
    monkeypatch.setattr(os, "statvfs", lambda place: SimpleNamespace(f_flag=os.ST_NOEXEC))
    with memory_disk.memory_disk():
        folder = made()
        assert tmp_path not in folder.parents
        folder.rmdir()
