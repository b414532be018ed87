"""A log that goes on while it is verified, as one beside a running server does."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.core.ledger.codec import notes_in
from answerable.verify import log_signatures
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.ledger import STORY, sealed_story


def test_a_log_that_gets_a_checkpoint_while_it_is_read_is_not_called_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = sealed_story(tmp_path)
    notes = [log.note(6), log.note(STORY)]

    def publish(count: int) -> None:
        (tmp_path / "checkpoints.log").write_bytes(b"\n".join(notes[:count]) + b"\n")
        (tmp_path / "checkpoint").write_bytes(notes[count - 1])

    publish(1)

    def meanwhile(content: bytes) -> tuple[list[bytes], int]:
        publish(2)
        return notes_in(content)

    monkeypatch.setattr(log_signatures, "notes_in", meanwhile)
    report = verify_ledger(tmp_path)
    # Tiles of the first checkpoint are none of this log's.
    assert {one.rule for one in report.findings} == {"tile.missing"}
