"""The file of accounts that were seen in logs: added to, damaged, and somebody else's."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from answerable.core.attribution.seen_account import SeenAccount
from answerable.errors import Malformed
from answerable.wiring.seen_accounts import keep_seen, known_accounts, seen_accounts

pytestmark = pytest.mark.requirement("ACCOUNT-02")
ALICE = SeenAccount("shop-db", "alice", "postgres", 5, 9, 12, 0)


def test_what_is_added_stays_whoever_adds_at_once(tmp_path: Path):
    path = tmp_path / "seen.json"
    others = [SeenAccount("shop-db", f"user-{number}", "postgres", 1, 2, 3, 0) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda one: keep_seen(path, [one, ALICE]), others)] == [0] * 8
    assert seen_accounts(path) == [ALICE, *others]
    assert path.stat().st_mode & 0o777 == 0o600
    keep_seen(path, [ALICE])
    assert known_accounts(path).seen == (ALICE, *others)
    assert {one.name for one in tmp_path.iterdir()} == {"seen.json", ".seen.json.lock"}


def test_a_file_of_something_else_is_left_as_it_is_and_told(tmp_path: Path):
    path = tmp_path / "seen.json"
    assert (seen_accounts(path), known_accounts(None).seen) == ([], ())
    with pytest.raises(Malformed, match="no such file"):
        seen_accounts(path, is_needed=True)
    for content in (
        b"",
        b"{}",
        b'{"form": 2, "accounts": []}',
        b"\xff",
        b'{"form":1,"accounts":[{"name":1}]}',
    ):
        path.write_bytes(content)
        with pytest.raises(Malformed) as told:
            keep_seen(path, [ALICE])
        assert told.value.code == "attribute.seen"
        assert path.read_bytes() == content
        assert known_accounts(path).fault == told.value.message
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Malformed, match="not a plain file"):
        seen_accounts(path)
    with pytest.raises(Malformed) as told:
        keep_seen(tmp_path / "nowhere/seen.json", [ALICE])
    assert told.value.code == "attribute.unkept"
