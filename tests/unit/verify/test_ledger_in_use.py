"""A ledger whose server goes on writing while it is verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from answerable.verify import ledger_history
from answerable.verify.ledger_history import verify_ledger
from tests.ledger_world import BEGIN, KEY, sealed_story


@pytest.mark.requirement("SEAM-11")
def test_a_log_that_is_sealed_while_it_is_read_is_not_called_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server seals between the verifier's looks at two files."""
    sealed_story(tmp_path, seals=(BEGIN + 2,), tiles=False)
    read = ledger_history.read_signatures

    def read_and_sealed_meanwhile(*asked: Any) -> Any:
        found = read(*asked)
        sealed_story(tmp_path, tiles=False)
        return found

    monkeypatch.setattr(ledger_history, "read_signatures", read_and_sealed_meanwhile)
    report = verify_ledger(tmp_path, key=KEY)
    assert (report.status, report.findings) == ("valid_but", ())
