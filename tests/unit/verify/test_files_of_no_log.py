"""Files that no log has, in a directory that a stranger made: told of, and neither waited for nor read into memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.worlds.ledger import STORY
from tests.worlds.ledger_set import ForgedSet

pytestmark = pytest.mark.requirement("SHARD-05")


def test_a_segment_that_is_larger_than_any_costs_no_memory(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    os.truncate(next((tmp_path / "heads" / "wal").iterdir()), 2**40)
    assert made.verified().status == "invalid"


def test_a_pipe_with_the_name_of_a_segment_is_not_waited_for(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    os.mkfifo(tmp_path / "heads" / "wal" / f"{2**32:016x}.wal")
    os.mkfifo(tmp_path / "shards" / "a" / "wal" / f"{2**32:016x}.wal")
    assert made.verified().size == 2 * STORY + 5


@pytest.mark.parametrize("kind", ["huge", "pipe"])
def test_a_history_of_checkpoints_that_cannot_be_one_is_not_read(tmp_path: Path, kind: str) -> None:
    made = ForgedSet(tmp_path).written()
    path = tmp_path / "heads" / "checkpoints.log"
    if kind == "huge":
        os.truncate(path, 2**40)
    else:
        path.unlink()
        os.mkfifo(path)
    report = made.verified()
    assert report.status == "invalid"
    assert report.heads is not None
    assert any(one.rule == "checkpoint.damaged" for one in report.heads.findings)
