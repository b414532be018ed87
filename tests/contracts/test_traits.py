"""What an adapter does not have is no test that passed: the contract is skipped, by the name of the trait."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import SkipTest

import pytest

from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SAME-16")]


async def nothing(*_: Any) -> None:
    """Issues nothing, keeps nothing open, and asks no target."""


def bare() -> IssuerBench:
    """An issuer that has none of the traits that its contract asks about."""
    traits = SimpleNamespace(revocable=False, ends_by="broker", cuts_sessions=False)
    issuer = SimpleNamespace(traits=traits, issue=nothing)
    return cast("IssuerBench", SimpleNamespace(issuer=issuer, order=nothing, hold_open=nothing, stop=nothing))


@pytest.mark.parametrize(
    ("test", "trait"),
    [
        ("test_live_names_ours_and_no_others", "revocable"),
        ("test_what_was_cut_off_in_the_middle_goes_by_its_name", "revocable"),
        ("test_the_target_ends_what_nobody_revoked", "ended by its target"),
        ("test_an_open_session_ends_with_its_lease", "sessions that stay open"),
        ("test_while_the_target_is_away_it_says_so_and_ends_the_lease_afterwards", "a target that is asked"),
    ],
)
async def test_a_trait_that_is_not_there_is_named_and_not_passed(test: str, trait: str) -> None:
    bench = bare()
    cast("Any", bench).order = lambda *_: None
    with pytest.raises(SkipTest, match=f"not a trait of this adapter: {trait}"):
        await getattr(CredentialIssuerContract(), test)(bench)


def test_the_runner_takes_it_for_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        "from answerable.testing.contracts.claims import lacks\n\n\ndef test_one():\n    lacks('revocable')\n"
    )
    line = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*line, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert "1 skipped" in done.stdout, done.stdout
    assert "not a trait of this adapter: revocable" in done.stdout
