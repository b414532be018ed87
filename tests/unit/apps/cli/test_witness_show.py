"""What `answerable witness` says of the logs that the witness of this machine cosigns."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.main.commands import application
from answerable.testing.contracts.ledger import log_key

HERS, OURS = (log_key(origin)[0] for origin in ("log.example/hers", "log.example/ours"))


def test_every_log_is_shown_under_its_origin_with_its_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*line: str) -> list[str]:
        with pytest.raises(SystemExit) as ended:
            application(["witness"])(["witness", *line, "--data", str(tmp_path)], prog_name="answerable")
        assert not ended.value.code
        return capsys.readouterr().out.splitlines()

    for key in (HERS, OURS):
        said("add-log", key.formatted())
    shown = said("show")
    hers, ours = shown.index(HERS.name), shown.index(OURS.name)
    assert any(HERS.formatted() in line for line in shown[hers:ours])
    assert any(OURS.formatted() in line for line in shown[ours:])
