"""`answerable ledger verify` on a witnessed log: policy, what was kept, and how old it may be."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from answerable.testing.clock import START
from tests.probes.typed_lines import typed
from tests.worlds.ledger import STORY, ForgedLog, policy, sealed_story

Verify = Callable[..., str]


@pytest.fixture
def log(tmp_path: Path) -> ForgedLog:
    return sealed_story(tmp_path / "log", cosigned={STORY: START})


@pytest.fixture
def verify(log: ForgedLog, tmp_path: Path) -> Verify:
    (tmp_path / "policy").write_bytes(policy().text())

    def run(*more: str, code: int = 0) -> str:
        given = ["ledger", "verify", str(log.directory), "--policy", str(tmp_path / "policy"), *more]
        result = typed(lambda _: nullcontext(), given)
        assert result.exit_code == code, result.output
        return result.stdout

    return run


def test_a_witnessed_ledger_is_plainly_valid_under_a_policy(verify: Verify, log: ForgedLog) -> None:
    assert "\nvalid: every entry is in order" in verify()
    assert "newer entries may exist since" in verify()
    kept = log.directory.with_name("kept")
    kept.write_bytes(log.cosigned_note(STORY))
    assert json.loads(verify("--kept", str(kept), "--json"))["status"] == "valid"
    (log.directory / "checkpoint").write_bytes(b"rubbish")
    assert "INVALID" in verify(code=5)


def test_a_cosignature_can_be_asked_for_that_is_not_older(verify: Verify) -> None:
    stale = json.loads(verify("--since", "2099-01-01T00:00:00Z", "--json", code=6))
    assert [one["code"] for one in stale["caveats"]] == ["stale"]
    for wrong in ("yesterday", "2026-11-24T18:00:00"):
        verify("--since", wrong, code=2)


def test_files_that_are_not_there_are_told(verify: Verify, tmp_path: Path) -> None:
    for option in ("--policy", "--kept"):
        verify(option, str(tmp_path / "nothing"), code=1)
