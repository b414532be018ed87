"""What the report of a ledger tells people first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.verify.ledger_history import verify_ledger
from tests.worlds.ledger import KEY, STORY, ForgedLog, sealed_story

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.requirement("SAME-07")
def test_of_one_changed_byte_the_cause_is_told_first_and_what_follows_is_counted(tmp_path: Path) -> None:
    seals = range(2, STORY + 1)
    log = sealed_story(tmp_path)
    ForgedLog(directory=tmp_path, entries=log.entries, seals=tuple(seals)).written()
    (segment,) = (tmp_path / "wal").iterdir()
    content = bytearray(segment.read_bytes())
    content[content.index(b'"tag":2') + 6] ^= 1
    segment.write_bytes(content)
    report = verify_ledger(tmp_path, key=KEY)
    roots = [one for one in report.findings if one.rule == "checkpoint.root"]
    assert (report.status, len(roots) > 3) == ("invalid", True)
    told = [line for line in report.as_lines() if line.startswith("  error:")]
    assert told[0].endswith("[entry.damaged]")
    assert len(told) == len({one.rule for one in report.findings if one.severity == "error"})
    assert f"    and {len(roots) - 1} more of this kind: --json lists them" in report.as_lines()
