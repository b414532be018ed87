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


def bare(**traits: object) -> IssuerBench:
    """An issuer that has none of the traits that its contract asks about, but these."""
    none = {"revocable": False, "ends_by": "broker", "cuts_sessions": False, "boundary": "broker"}
    issuer = SimpleNamespace(traits=SimpleNamespace(**{**none, **traits}), issue=nothing)
    bench = SimpleNamespace(
        issuer=issuer,
        order=lambda *_: None,
        hold_open=nothing,
        stop=nothing,
        hostile=(),
        neighbours=lambda: {"one": nothing},
    )
    return cast("IssuerBench", bench)


@pytest.mark.parametrize(
    ("test", "trait"),
    [
        ("test_a_credential_does_nothing_beside_its_scope", "bounded by its target"),
        ("test_what_was_revoked_is_refused_by_the_target", "revocable"),
        ("test_an_open_session_ends_with_its_lease", "cuts sessions"),
        ("test_an_open_session_does_what_its_scope_says", "sessions that stay open"),
        ("test_revoking_again_or_what_nobody_issued_says_that_all_is_gone", "revocable"),
        ("test_a_name_is_used_once", "revocable"),
        ("test_live_names_ours_and_no_others", "revocable"),
        ("test_leases_revoked_at_once_are_all_gone", "revocable"),
        ("test_while_the_target_is_away_it_says_so_and_ends_the_lease_afterwards", "a target that is asked"),
        ("test_what_was_cut_off_in_the_middle_goes_by_its_name", "revocable"),
        ("test_what_was_issued_before_it_let_go_is_ended_as_before", "revocable"),
        ("test_it_lets_go_of_a_target_that_is_away", "a target that is asked"),
        ("test_the_target_ends_what_nobody_revoked", "ended by its target"),
        ("test_a_scope_that_is_not_understood_whole_leaves_nothing_behind", "revocable"),
        ("test_hostile_scopes_leave_other_leases_as_they_are", "scopes with texts"),
        ("test_hostile_scopes_grant_nothing_but_what_they_say", "bounded by its target"),
    ],
)
async def test_a_trait_that_is_not_there_is_named_and_not_passed(test: str, trait: str) -> None:
    with pytest.raises(SkipTest, match=f"not a trait of this adapter: {trait}"):
        await getattr(CredentialIssuerContract(), test)(bare())


async def test_what_can_be_revoked_says_nothing_of_what_is_left() -> None:
    with pytest.raises(SkipTest, match="not a trait of this adapter: without revocation"):
        await CredentialIssuerContract().test_what_cannot_be_revoked_says_what_is_left(bare(revocable=True))


async def test_whoever_says_that_sessions_are_cut_shows_one() -> None:
    with pytest.raises(AssertionError, match="shows one"):
        await CredentialIssuerContract().test_an_open_session_ends_with_its_lease(bare(cuts_sessions=True))


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
