"""The contract suite of issued tokens, on memory and on a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteStore, SqliteTokenRegister
from answerable.adapters.sqlite.migrations import MIGRATIONS
from answerable.core.mandate.revocation import RevocationTarget
from answerable.testing.clock import START
from answerable.testing.contracts.token_register import DurableTokenRegisterContract
from answerable.testing.entropy import SeededEntropy

NAMES_SINCE = 10
"""The last version of the schema that knew no names of what a token came through."""

pytestmark = pytest.mark.requirement("REVOKE-08")


class TestSqliteTokenRegister(DurableTokenRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteTokenRegister:
        store = SqliteStore.open(tmp_path / "registers.db")
        return SqliteTokenRegister(store, entropy=SeededEntropy("places"))


@pytest.mark.requirement("REVOKE-08")
def test_tokens_that_an_older_version_kept_are_found_and_end_by_what_was_known_of_them(
    tmp_path: Path,
) -> None:
    before = MIGRATIONS[:NAMES_SINCE]
    old = SqliteStore.open(tmp_path / "registers.db", migrations=before)
    with old.write() as connection:
        connection.execute(
            "INSERT INTO status_lists (number, decoys, taken, given) VALUES (1, x'00', x'03', 2)"
        )
        connection.executemany(
            "INSERT INTO tokens (jti, parent, par_hash, mandate, agent, key, manifest, trust_domain, expires_at, list, "
            "place, ended) VALUES (?, ?, ?, 'm-1', 'scout', 'k', '', 'example.org', ?, 1, ?, 0)",
            [("above", None, "hash", START + 60_000, 0), ("below", 1, "", START + 60_000, 1)],
        )
    old.close()
    register = SqliteTokenRegister(
        SqliteStore.open(tmp_path / "registers.db"), entropy=SeededEntropy("places")
    )
    found = register.find("below")
    assert found is not None
    assert (found.parent, found.instance, found.through) == ("above", "", ())
    assert register.end([RevocationTarget("hop", "hash")]) == 2
