"""`./dev check`: where its tests write."""

from __future__ import annotations

from pathlib import Path

import pytest

import check

TEMPORARY = "PYTEST_DEBUG_TEMPROOT"


@pytest.mark.requirement("FAST-13")
def test_what_its_tests_write_is_in_memory_and_gone_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "MEMORY", tmp_path)
    monkeypatch.setattr(check, "MEMORY_BYTES_MIN", 1)
    with check.memory_disk() as more:
        folder = Path(more[TEMPORARY])
        assert folder.parent == tmp_path
        said = check.run(["python", "-c", f"import os; print(os.environ[{TEMPORARY!r}])"], more).stdout
        assert said.strip() == str(folder)
        (folder / "of a test").mkdir()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.requirement("FAST-13")
@pytest.mark.parametrize(("disk", "bytes_min"), [(".", 2**62), ("none", 1)], ids=["no room", "no such disk"])
def test_without_room_in_memory_they_write_where_they_always_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str, bytes_min: int
) -> None:
    monkeypatch.setattr(check, "MEMORY", tmp_path / disk)
    monkeypatch.setattr(check, "MEMORY_BYTES_MIN", bytes_min)
    with check.memory_disk() as more:
        assert more == {}
        assert list(tmp_path.iterdir()) == []
